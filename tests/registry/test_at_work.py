"""Who is at work: what a killed process left is interrupted for whoever looks, what another process does goes on."""

from pathlib import Path

import msgspec
import pytest

from flyball.core import this_process
from flyball.registry import (
    Case,
    Registry,
    Search,
    at_work,
    begin_run,
    begin_search,
    cases_of,
    close_case,
    elsewhere,
    end_run,
    end_search,
    give_sign,
    link_run,
    open_case,
    searches_of,
    start_case,
)

CASE = Case(app="shop", trigger="by hand", kind="manual", cause="started by ann", opened_us=5, status="running")
SEARCH = Search(
    id="",
    app="shop",
    how="random",
    metric="mae",
    snapshot="s",
    status="running",
    budget=1.0,
    seed=0,
    as_of_us=5,
    started_us=6,
)
DEAD = msgspec.structs.replace(this_process(), start="1")
FAR = msgspec.structs.replace(this_process(), host="elsewhere")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(f"sqlite://{tmp_path}/registry.db")


def given_to(registry: Registry, process: object, left_us: int = 60_000_000) -> None:
    """Say that `process` is at work on all that is under way, with a sign of life that counts for `left_us` more."""
    with registry.database.writing() as connection:
        connection.exec_driver_sql(
            f"UPDATE at_work SET process = ?, expires_us = {registry.database.now_us_sql} + ?",
            (msgspec.json.encode(process).decode(), left_us),
        )


def statuses(registry: Registry) -> tuple[str, str, str, str]:
    """Of a run, its case, a case without a run, and a search."""
    first, second = cases_of(registry)
    return registry.runs()[0].status, first.status, second.status, searches_of(registry)[0].status


@pytest.fixture
def working(registry: Registry) -> Registry:
    """With one of each under way."""
    linked = open_case(registry, CASE)
    start_case(registry, open_case(registry, msgspec.structs.replace(CASE, status="waiting")))
    link_run(registry, [linked.id], begin_run(registry, "shop", 5, 6))
    begin_search(registry, SEARCH)
    return registry


@pytest.mark.parametrize(
    ("process", "left_us", "status"),
    [
        (this_process(), -1, "running"),
        (DEAD, 60_000_000, "interrupted"),
        (FAR, 60_000_000, "running"),
        (FAR, -1, "interrupted"),
    ],
)
def test_all_that_is_under_way_lasts_as_long_as_its_process(
    working: Registry, process: object, left_us: int, status: str
) -> None:
    given_to(working, process, left_us)
    assert statuses(working) == (status,) * 4
    subjects = {"run r1", "case c2", "search s1"}
    assert set(at_work(working.database)) == (subjects if status == "running" else set())
    assert elsewhere(working.database) == (subjects if process is FAR and left_us > 0 else set())


def test_what_came_from_another_database_is_interrupted(working: Registry) -> None:
    with working.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM at_work")
    assert statuses(working) == ("interrupted",) * 4


def test_signs_of_life_keep_it_under_way(working: Registry) -> None:
    given_to(working, FAR, -1)
    give_sign(working.database, "run r1")
    assert statuses(working) == ("running", "running", "interrupted", "interrupted")
    give_sign(working.database, "run r9")
    assert "run r9" not in at_work(working.database), "what nobody began is not under way"


def test_the_end_is_noted_with_the_end(working: Registry) -> None:
    end_run(working, working.runs()[0], "done", 9, report={})
    assert cases_of(working)[0].status == "running", "its process has yet to close it"
    for case in cases_of(working):
        close_case(working, case.id, 9, "learned")
    end_search(working, searches_of(working)[0], "done", 9, {})
    assert statuses(working) == ("done", "closed", "closed", "done")
    assert working.database.rows("SELECT * FROM at_work") == []
