"""Calibration of probabilities and intervals: pure functions of arrays, one method in each file."""
