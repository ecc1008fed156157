"""How long-running work reports its progress."""

from collections.abc import Callable

ReportProgress = Callable[[int, int], object]
"""Called with (how many are done, how many there are)."""
