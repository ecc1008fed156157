"""How long work says how far it is."""

from collections.abc import Callable

ReportProgress = Callable[[int, int], object]
"""Called with (how many are done, how many there are)."""
