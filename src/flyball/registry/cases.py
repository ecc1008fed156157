"""Cases in the registry: why learning began, or why it did not, and the run that it led to."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.core import NotFound
from flyball.registry.at_work import at_work, note_begun, note_ended
from flyball.registry.store import Registry, _next, _number, _text
from flyball.registry.types import Case, Run

_BEGIN_US = 600_000_000
"""How long a process on another machine may take from the start of a case to the beginning of its run."""
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
        if case.status == "running":
            note_begun(registry.database, connection, f"case c{number}", _BEGIN_US)
    return msgspec.structs.replace(case, id=f"c{number}")


def refuse_case(registry: Registry, case: Case, at_us: int, reason: str) -> Case:
    """Note why no run was started for a case that waits; a `reason` equal to its last is not repeated."""
    if case.refusals and case.refusals[-1]["reason"] == reason:
        return case
    refusals = [*case.refusals, {"at_us": at_us, "reason": reason}]
    _update(registry, case.id, refusals=_text(refusals))
    return msgspec.structs.replace(case, refusals=refusals)


def start_case(registry: Registry, case: Case) -> Case:
    """Note that this process starts a run for a case."""
    from flyball.registry.tables import cases as table

    with registry.database.writing() as connection:
        connection.execute(table.update().where(table.c.number == _number(case.id)).values(status="running"))
        note_begun(registry.database, connection, f"case {case.id}", _BEGIN_US)
    return msgspec.structs.replace(case, status="running")


def link_run(registry: Registry, case_ids: Sequence[str], run: Run) -> None:
    """Note the run that cases led to; from now on they last as long as its process."""
    from flyball.registry.tables import cases as table

    numbers = [_number(case_id) for case_id in case_ids]
    with registry.database.writing() as connection:
        values = {"run_number": _number(run.id), "status": "running"}
        connection.execute(table.update().where(table.c.number.in_(numbers)).values(**values))
        note_ended(connection, [f"case {case_id}" for case_id in case_ids])


def close_case(registry: Registry, case_id: str, now_us: int, outcome: str) -> None:
    """Close a case with its `outcome` in words; of one that is closed nothing changes."""
    from flyball.registry.tables import cases as table

    is_open = (table.c.number == _number(case_id)) & (table.c.status != "closed")
    with registry.database.writing() as connection:
        connection.execute(table.update().where(is_open).values(status="closed", closed_us=now_us, outcome=outcome))
        note_ended(connection, [f"case {case_id}"])


def cases_of(registry: Registry, case_id: str | None = None) -> list[Case]:
    """All cases, oldest first, or the one with `case_id`; raises `NotFound`, which lists the newest ones.

    One that runs and whose process was killed has the status "interrupted".
    """
    cases = [_case(row) for row in registry.database.rows("SELECT * FROM cases ORDER BY number")]
    if any(case.status == "running" for case in cases):
        cases = _with_interrupted(registry, cases)
    if case_id is None:
        return cases
    chosen = [case for case in cases if case.id == case_id]
    if not chosen:
        known = [case.id for case in cases]
        raise NotFound("case", case_id, known[-12:], "flyball cases list shows all, a run of learning makes one")
    return chosen


def _with_interrupted(registry: Registry, cases: Sequence[Case]) -> list[Case]:
    alive, killed = at_work(registry.database), {run.id for run in registry.runs() if run.status == "interrupted"}
    return [
        msgspec.structs.replace(case, status="interrupted")
        if case.status == "running" and (case.run in killed if case.run else f"case {case.id}" not in alive)
        else case
        for case in cases
    ]


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
