"""The disk cache of compiled functions, emptied when a function that they call has changed."""

import os
from pathlib import Path

_KEPT = (".nbi", ".nbc")


def forget_stale(folder: Path) -> None:
    """Remove numba's cache entries of the modules in `folder` that are older than the newest of these modules.

    Numba checks a function's own file only, so a function that calls a changed one of another file would keep calling
    the old one. Does nothing where the cache cannot be written: numba caches nothing there.
    """
    cache = folder / "__pycache__"
    if not os.access(cache, os.W_OK):
        return
    with os.scandir(folder) as entries:
        newest_ns = max((entry.stat().st_mtime_ns for entry in entries if entry.name.endswith(".py")), default=0)
    with os.scandir(cache) as entries:
        cached_files = [Path(entry.path) for entry in entries if entry.name.endswith(_KEPT)]
    for path in cached_files:
        try:
            stale = path.stat().st_mtime_ns < newest_ns
        except FileNotFoundError:
            continue  # another process, starting at the same time, removed it first
        if stale:
            path.unlink(missing_ok=True)
