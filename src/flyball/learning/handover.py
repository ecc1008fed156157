"""Training data on its way to other processes: memory-mapped arrays and files in a folder, not pickled copies."""

from pathlib import Path

import msgspec
import numpy as np

from flyball.models import Interactions
from flyball.tasks import Frames

_ARRAYS = ("user_index", "item_index", "weights", "ratings", "at_us", "user_group")


class _Words(msgspec.Struct, frozen=True):
    users: list[str]
    items: list[str]
    groups: list[str]
    as_of_us: int


def write_interactions(folder: Path, data: Interactions) -> None:
    """Write `data` into the new folder `folder`."""
    folder.mkdir()
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(data, name), allow_pickle=False)
    words = _Words(data.users, data.items, data.groups, data.as_of_us)
    (folder / "words.json").write_bytes(msgspec.json.encode(words))


def read_interactions(folder: Path) -> Interactions:
    """The interactions that `write_interactions` wrote, their arrays mapped read-only."""
    words = msgspec.json.decode((folder / "words.json").read_bytes(), type=_Words)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    return Interactions(
        users=words.users, items=words.items, groups=words.groups, as_of_us=words.as_of_us,
        **{name: np.asarray(array) for name, array in arrays.items()},
    )  # fmt: skip


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
