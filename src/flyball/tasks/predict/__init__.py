"""Prediction tasks: a number, quantiles, a probability or a class for an event, learned from later events."""
