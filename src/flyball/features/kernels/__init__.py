"""Compiled loops of the offline engine over integers, so a value has the same bits in any batch and on any thread."""
