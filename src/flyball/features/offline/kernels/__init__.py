"""Compiled loops over integers, so that a value has the same bits in any batch and on any thread."""

from pathlib import Path

from flyball.core import forget_stale

forget_stale(Path(__file__).parent)
