"""Compiled loops kept on disk, thrown away when what they call has changed."""

import os
from pathlib import Path

_KEPT = (".nbi", ".nbc")


def forget_stale(folder: Path) -> None:
    """Remove what numba keeps for the files of `folder` and compiled before the newest of them was written.

    Numba compares a function's own file only: one that calls a changed function of another file would go on with the
    old one. Nothing is done where the cache cannot be written, as numba keeps none there.
    """
    cache = folder / "__pycache__"
    if not os.access(cache, os.W_OK):
        return
    with os.scandir(folder) as entries:
        newest_ns = max((entry.stat().st_mtime_ns for entry in entries if entry.name.endswith(".py")), default=0)
    with os.scandir(cache) as entries:
        kept = [Path(entry.path) for entry in entries if entry.name.endswith(_KEPT)]
    for path in kept:
        try:
            stale = path.stat().st_mtime_ns < newest_ns
        except FileNotFoundError:
            continue  # another process that starts too was quicker
        if stale:
            path.unlink(missing_ok=True)
