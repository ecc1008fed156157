"""Declarations of features: windows, aggregates, groups by key, derived values. Nothing is computed here."""
