"""Searches in the registry: written as they go, and registries from before them are brought up to date."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from flyball.core import NotFound
from flyball.registry import (
    Registry,
    Search,
    SearchTrial,
    add_trial,
    begin_run,
    begin_search,
    end_search,
    searches_of,
)
from flyball.registry.migrate import FOLDER

SEARCH = Search(
    id="",
    app="shop",
    how="random",
    budget=4.0,
    seed=2**40,
    metric="ndcg@5",
    as_of_us=5,
    snapshot="s",
    started_us=6,
    status="running",
)
TRIAL = SearchTrial(candidate="ease", params={"l2": 10.0, "items": 5}, share=0.5, value=0.25, seconds=1.5)


def test_a_search_comes_back_with_its_trials_in_order(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    first, second = begin_search(registry, SEARCH), begin_search(registry, SEARCH)
    failed = SearchTrial(candidate="ü", params={}, share=1.0, value=None, failed="no")
    for trial in (TRIAL, failed):
        add_trial(registry, second, trial)
    add_trial(registry, first, TRIAL)
    end_search(registry, second, "done", 9, {"found": [1]})
    again = Registry(f"sqlite://{tmp_path}/registry.db")
    done = msgspec.structs.replace(
        SEARCH, id="s2", status="done", ended_us=9, about={"found": [1]}, trials=[TRIAL, failed]
    )
    assert searches_of(again) == [msgspec.structs.replace(SEARCH, id="s1", trials=[TRIAL]), done]
    assert searches_of(again, "s2") == [done]
    with pytest.raises(NotFound, match="s1, s2"):
        searches_of(again, "s3")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_none(value: float, tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    search = begin_search(registry, SEARCH)
    add_trial(registry, search, msgspec.structs.replace(TRIAL, value=value))
    assert searches_of(registry)[0].trials[0].value is None


KINDS = {sa.Integer: 1, sa.BigInteger: 2**40, sa.Boolean: True, sa.Text: "{}"}
"""A value for each type of column; numbers are 1, so that rows refer to one another."""


def row_of(table: sa.Table) -> dict[str, Any]:
    """A row of a table, every column filled."""
    kept = {"status": "running", "state": "champion", "gates": "[]"}
    kinds = [sa.Boolean, sa.BigInteger, sa.Integer, sa.Text]  # the wider first: one is a subclass of another
    return {
        column.name: kept.get(column.name, next(KINDS[kind] for kind in kinds if isinstance(column.type, kind)))
        for column in table.columns
    }


def test_a_registry_from_before_searches_keeps_what_it_holds(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/registry.db")
    before = sa.MetaData()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        before.reflect(connection, only=lambda name, _: name != "alembic_version")
        assert sorted(before.tables) == ["audit", "releases", "runs", "versions"]
        for table in before.sorted_tables:
            connection.execute(table.insert().values(row_of(table)))
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    assert [run.id for run in registry.runs()] == ["r1"]
    assert [version.state for version in registry.versions()] == ["champion"]
    assert [entry.at_us for entry in registry.audit()] == [2**40]
    assert searches_of(registry) == []
    with engine.connect() as connection:
        for table in before.sorted_tables:
            kept = row_of(table)
            if table.name == "versions":
                kept["metrics"] = kept.pop("figures")
            (row,) = connection.execute(sa.text(f"SELECT * FROM {table.name}")).mappings()
            assert {name: row[name] for name in kept} == kept
    engine.dispose()
    assert begin_search(registry, SEARCH).id == "s1"
    assert begin_run(registry, "shop", 7, 8).id == "r2"
