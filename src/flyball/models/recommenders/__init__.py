"""Models that stand alone: one algorithm a file, with its paper."""
