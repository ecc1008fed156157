"""Findings become alerts, alerts become incidents, and people bring these to an end."""
