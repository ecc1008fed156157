"""Recommendation: a list of items for a user."""
