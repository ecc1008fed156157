"""What an estimator of scikit-learn or XGBoost learned as bytes that run no code when they are read.

scikit-learn's through skops, which builds only types that were named beforehand; XGBoost's in its own binary format.
"""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, MissingExtra, Refused

SKOPS, XGBOOST = "skops", "xgboost"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NUMBERED = re.compile(r'"__id__": (\d+)|"(\d+)\.(\w+)"')


def need(module: str, extra: str) -> Any:
    """An optional package; raises `MissingExtra` with the line that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(module, extra) from None


def format_of(estimator: Any) -> str:
    """How a fitted estimator is written: XGBoost's own format where it has a booster, else skops."""
    return XGBOOST if hasattr(estimator, "get_booster") else SKOPS


def to_bytes(estimator: Any) -> NDArray[np.uint8]:
    """The fitted estimator; the same bytes for the same fit."""
    if format_of(estimator) == XGBOOST:
        return np.frombuffer(bytes(estimator.get_booster().save_raw("ubj")), np.uint8)
    return np.frombuffer(_without_addresses(need("skops.io", "sklearn").dumps(estimator)), np.uint8)


def check_trusted(data: NDArray[np.uint8], trusted: Sequence[str]) -> list[str]:
    """The types that a skops file holds beyond those that skops knows to be harmless; all are in `trusted`.

    Raises `Refused` naming those that are not.
    """
    unknown: list[str] = need("skops.io", "sklearn").get_untrusted_types(data=data.tobytes())
    strange = sorted(set(unknown) - set(trusted))
    if strange:
        raise Refused(
            f"the file of an estimator must hold trusted types only, got {', '.join(strange)}: look at what they do, "
            f"then name them, fb.Estimator(..., trusted={tuple(strange)!r}), or use another estimator"
        )
    return unknown


class SklearnReader:
    """Predictions of a scikit-learn estimator, float64 (rows, values): of classes their probabilities."""

    def __init__(self, data: NDArray[np.uint8], trusted: Sequence[str], classes: bool) -> None:
        known = check_trusted(data, trusted)
        estimator = need("skops.io", "sklearn").loads(data.tobytes(), trusted=known)
        self._predict = estimator.predict_proba if classes else estimator.predict
        self._threads = need("threadpoolctl", "sklearn").ThreadpoolController()

    def predict(self, matrix: Doubles) -> Doubles:
        with self._threads.limit(limits=1):
            return np.asarray(self._predict(matrix), np.float64).reshape(len(matrix), -1)


class XGBoostReader:
    """The same of an XGBoost model; a probability of one class alone becomes those of both."""

    def __init__(self, data: NDArray[np.uint8], classes: bool) -> None:
        self._booster = need("xgboost", "xgboost").Booster({"nthread": 1})
        self._booster.load_model(bytearray(data.tobytes()))
        self._classes = classes

    def predict(self, matrix: Doubles) -> Doubles:
        values = np.asarray(self._booster.inplace_predict(matrix), np.float64).reshape(len(matrix), -1)
        return np.hstack([1.0 - values, values]) if self._classes and values.shape[1] == 1 else values


def _without_addresses(data: bytes) -> bytes:
    """A skops file with numbers in order for the addresses of objects, and no time of writing."""
    source = zipfile.ZipFile(io.BytesIO(data))
    schema = source.read("schema.json").decode()
    numbers: dict[str, int] = {}

    def renumbered(match: re.Match[str]) -> str:
        address = match[1] or match[2]
        number = numbers.setdefault(address, len(numbers) + 1)
        return f'"__id__": {number}' if match[1] else f'"{number}.{match[3]}"'

    schema = _NUMBERED.sub(renumbered, schema)
    json.loads(schema)
    files = {
        f"{numbers.get(stem, stem)}{dot}{ending}": source.read(name)
        for name in source.namelist()
        if name != "schema.json"
        for stem, dot, ending in [name.partition(".")]
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as written:
        for name in sorted(files):
            written.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
        written.writestr(zipfile.ZipInfo("schema.json", _EPOCH), schema)
    return target.getvalue()
