"""Training data on its way to other processes: memory-mapped arrays and files in a folder, not pickled copies."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.models import Attributes, Interactions
from flyball.tasks import Frames

_ARRAYS = ("user_index", "item_index", "weights", "ratings", "at_us", "user_group")


class _Words(msgspec.Struct, frozen=True):
    users: list[str]
    items: list[str]
    groups: list[str]
    as_of_us: int
    values: list[str] | None = None


def write_interactions(folder: Path, data: Interactions) -> None:
    """Write `data` into the new folder `folder`."""
    folder.mkdir()
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(data, name), allow_pickle=False)
    values = None
    if data.attributes is not None:
        values = data.attributes.names
        np.save(folder / "value_ptr.npy", data.attributes.indptr, allow_pickle=False)
        np.save(folder / "values.npy", data.attributes.index, allow_pickle=False)
    words = _Words(data.users, data.items, data.groups, data.as_of_us, values)
    (folder / "words.json").write_bytes(msgspec.json.encode(words))


def read_interactions(folder: Path) -> Interactions:
    """The interactions that `write_interactions` wrote, their arrays mapped read-only."""
    words = msgspec.json.decode((folder / "words.json").read_bytes(), type=_Words)
    arrays = {name: _load(folder, name) for name in _ARRAYS}
    attributes = None
    if words.values is not None:
        attributes = Attributes(words.values, _load(folder, "value_ptr"), _load(folder, "values"))
    return Interactions(
        users=words.users, items=words.items, groups=words.groups, as_of_us=words.as_of_us,
        attributes=attributes, **arrays,
    )  # fmt: skip


def _load(folder: Path, name: str) -> NDArray[Any]:
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def write_frames(folder: Path, frames: Frames) -> None:
    """Write events by type into the folder `folder`, once."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for name, frame in frames.items():
            frame.write_ipc(folder / f"{name}.arrow")


def read_frames(folder: Path) -> Frames:
    """The events that `write_frames` wrote."""
    import polars as pl

    return {path.stem: pl.read_ipc(path) for path in sorted(folder.glob("*.arrow"))}
