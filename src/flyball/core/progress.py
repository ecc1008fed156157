"""How long-running work reports its progress."""

from collections.abc import Callable

ReportProgress = Callable[[int, int], object]
"""Called with (the number done, the total)."""
