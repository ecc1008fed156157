"""Cases in the registry: why learning began, or why it did not, and the run that it led to."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.core import NotFound
from flyball.registry.store import Registry, _next, _number, _text
from flyball.registry.types import Case, Run

_DOCUMENTS = ("evidence", "refusals", "expected")


def open_case(registry: Registry, case: Case) -> Case:
    """Add a case; returns it with its id ("c1", "c2", ...)."""
    from flyball.registry.tables import cases as table

    columns = msgspec.structs.asdict(case)
    columns |= {name: _text(columns[name]) for name in _DOCUMENTS}
    run = columns.pop("run")
    columns |= {"run_number": _number(run) if run else None, "trigger_text": columns.pop("trigger")}
    del columns["id"]
    with registry.database.writing() as connection:
        number = _next(connection, table.c.number)
        connection.execute(table.insert().values(number=number, **columns))
    return msgspec.structs.replace(case, id=f"c{number}")


def refuse_case(registry: Registry, case: Case, at_us: int, reason: str) -> Case:
    """Note why no run was started for a case that waits; a `reason` equal to its last is not repeated."""
    if case.refusals and case.refusals[-1]["reason"] == reason:
        return case
    refusals = [*case.refusals, {"at_us": at_us, "reason": reason}]
    _update(registry, case.id, refusals=_text(refusals))
    return msgspec.structs.replace(case, refusals=refusals)


def start_case(registry: Registry, case: Case) -> Case:
    """Note that a run is started for a case."""
    _update(registry, case.id, status="running")
    return msgspec.structs.replace(case, status="running")


def link_run(registry: Registry, case_ids: Sequence[str], run: Run) -> None:
    """Note the run that cases led to."""
    for case_id in case_ids:
        _update(registry, case_id, run_number=_number(run.id), status="running")


def close_case(registry: Registry, case_id: str, now_us: int, outcome: str) -> None:
    """Close a case with its `outcome` in words; of one that is closed nothing changes."""
    from flyball.registry.tables import cases as table

    is_open = (table.c.number == _number(case_id)) & (table.c.status != "closed")
    with registry.database.writing() as connection:
        connection.execute(table.update().where(is_open).values(status="closed", closed_us=now_us, outcome=outcome))


def cases_of(registry: Registry, case_id: str | None = None) -> list[Case]:
    """All cases, oldest first, or the one with `case_id`; raises `NotFound`, which lists the newest ones."""
    cases = [_case(row) for row in registry.database.rows("SELECT * FROM cases ORDER BY number")]
    if case_id is None:
        return cases
    chosen = [case for case in cases if case.id == case_id]
    if not chosen:
        known = [case.id for case in cases]
        raise NotFound("case", case_id, known[-12:], "flyball cases list shows all, a run of learning makes one")
    return chosen


def _update(registry: Registry, case_id: str, **values: Any) -> None:
    from flyball.registry.tables import cases as table

    with registry.database.writing() as connection:
        connection.execute(table.update().where(table.c.number == _number(case_id)).values(**values))


def _case(row: dict[str, Any]) -> Case:
    columns = row | {name: msgspec.json.decode(row[name]) for name in _DOCUMENTS}
    run = columns.pop("run_number")
    return Case(
        id=f"c{columns.pop('number')}",
        trigger=columns.pop("trigger_text"),
        run="" if run is None else f"r{run}",
        **columns,
    )
