"""Shares training data with other processes: memory-mapped arrays and lists in a folder, instead of pickled copies."""

from pathlib import Path

import msgspec
import numpy as np

from flyball.tasks import TrainingData

_TEXTS = "texts.json"


class _Texts(msgspec.Struct, frozen=True):
    as_of_us: int
    texts: dict[str, list[str]]


def write_data(folder: Path, data: TrainingData) -> None:
    """Write `data` into the new folder `folder`."""
    folder.mkdir()
    for name, array in data.arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / _TEXTS).write_bytes(msgspec.json.encode(_Texts(data.as_of_us, data.texts)))


def read_data(folder: Path) -> TrainingData:
    """The data that `write_data` wrote, its arrays mapped read-only."""
    written = msgspec.json.decode((folder / _TEXTS).read_bytes(), type=_Texts)
    arrays = {
        path.stem: np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)) for path in sorted(folder.glob("*.npy"))
    }
    return TrainingData(arrays, written.texts, written.as_of_us)
