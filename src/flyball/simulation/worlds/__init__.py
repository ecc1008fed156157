"""Simulated worlds with known ground truth, one folder each."""
