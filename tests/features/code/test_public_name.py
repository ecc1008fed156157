"""The name by which what is installed counts."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from flyball.events import Rejected
from flyball.features.code.public_name import public_name


def modules(monkeypatch: pytest.MonkeyPatch, **exports: Any) -> None:
    """Load modules with these names: `lib__inner` is lib.inner."""
    for name, names in exports.items():
        module = ModuleType(name.replace("__", "."))
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, module.__name__, module)


class Ridge:
    class Inner:
        pass


def test_what_a_package_exports_counts_by_the_shortest_name_wherever_it_is_defined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_lib = {"Ridge": Ridge}
    modules(monkeypatch, lib={}, lib__linear=of_lib, lib__linear___ridge=of_lib, lib__linear___moved=of_lib)
    names = {public_name(Ridge, module, "Ridge") for module in ("lib.linear._ridge", "lib.linear._moved", "lib.linear")}
    assert names == {"lib.linear.Ridge"}
    assert public_name(Ridge.Inner, "lib.linear._ridge", "Ridge.Inner") == "lib.linear.Ridge.Inner"


def test_two_of_one_name_in_one_package_count_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def fft() -> None: ...

    def other() -> None: ...

    modules(monkeypatch, lib={"fft": other}, lib__fft={"fft": fft}, lib__pack={"fft": other}, lib__own={"fft": print})
    assert public_name(fft, "lib.fft", "fft") == "lib.fft.fft"
    assert public_name(other, "lib.pack", "fft") == "lib.fft"
    assert public_name(len, "lib.own", "fft") == "lib.own.fft"  # nothing exports it


def test_a_name_that_a_package_gives_reluctantly_or_not_at_all_counts_with_its_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reluctant(name: str) -> Any:
        import warnings

        warnings.warn("not like this", DeprecationWarning, stacklevel=2)
        raise ImportError(name)

    modules(monkeypatch, lib={"__getattr__": reluctant}, lib__inner={"Ridge": Ridge})
    assert public_name(Ridge, "lib.inner", "Ridge") == "lib.inner.Ridge"


def test_a_class_of_flyball_counts_without_its_module() -> None:
    assert public_name(Rejected, "flyball.events.checks", "Rejected") == "flyball.Rejected"
    assert public_name(Rejected, Rejected.__module__, "Rejected") == "flyball.Rejected"
    assert public_name(np.linalg.norm, "numpy.linalg._linalg", "norm") == "numpy.linalg.norm"
