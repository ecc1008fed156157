"""Machines, servers and clients for `scripts/several_machines.py`, with one module for each scenario."""
