"""A copied registry has every row, to the bit; nothing is added to one that has rows."""

from pathlib import Path

import pytest

from flyball.core import Refused
from flyball.registry import Registry, copy_registry
from flyball.testing.registry_contract import contents, fill


def test_every_row_of_every_table_is_copied(tmp_path: Path) -> None:
    source = Registry(f"sqlite://{tmp_path}/source.db")
    fill(source)
    copied = copy_registry(f"sqlite://{tmp_path}/source.db", f"sqlite://{tmp_path}/target.db")
    stored = contents(Registry(f"sqlite://{tmp_path}/target.db"))
    assert stored == contents(source)
    assert all(stored.values()), "each table was filled"
    assert copied == sum(map(len, stored.values()))


def test_a_registry_with_rows_is_not_written_to(tmp_path: Path) -> None:
    source, target = f"sqlite://{tmp_path}/source.db", f"sqlite://{tmp_path}/target.db"
    fill(Registry(source))
    copy_registry(source, target)
    with pytest.raises(Refused, match="must be empty, got rows in its table"):
        copy_registry(source, target)
    assert contents(Registry(target)) == contents(Registry(source))
