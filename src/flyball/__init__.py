"""Flyball: one file declares a machine-learning application, Flyball runs its whole loop."""
