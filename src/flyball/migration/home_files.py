"""Copies the files of a home that are in no store: names of sources, measured delays, the plan of a simulated world."""

from pathlib import Path

from flyball.core import write_atomic
from flyball.runtime import Runtime


def copy_home_files(source: Runtime, target: Runtime) -> None:
    """Copy them where they differ; they are few and small."""
    pairs = [(getattr(source.layout, name), getattr(target.layout, name)) for name in _FILES]
    pairs.append((source.apply_delays_path, target.apply_delays_path))
    monitoring = source.layout.monitoring
    for path in sorted(monitoring.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            pairs.append((path, target.layout.monitoring / path.relative_to(monitoring)))
    for own, copy in pairs:
        _copy(own, copy)
    if source.shadows_path.exists() and source.shadows_path != target.shadows_path:
        source.shadow_counter.copy_to(target.shadows_path)


_FILES = ("owner", "sources", "erased", "world", "world_begun", "simulated")


def _copy(source: Path, target: Path) -> None:
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        return
    if not target.exists() or target.read_bytes() != content:
        write_atomic(target, content)
