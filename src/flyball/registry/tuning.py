"""Hyperparameter searches in the registry: a search is stored when it begins, each trial when it ends."""

import math
from typing import Any

import msgspec

from flyball.core import NotFound
from flyball.registry.at_work import at_work, note_begun, note_ended
from flyball.registry.store import Registry, _next, _number, _text
from flyball.registry.types import JsonObject, RunStatus, Search, SearchTrial


def begin_search(registry: Registry, search: Search) -> Search:
    """Register the start of a search; returns it with its id ("s1", "s2", ...)."""
    from flyball.registry.tables import searches as table

    columns = msgspec.structs.asdict(search)
    columns["about"] = _text(columns["about"])
    del columns["id"], columns["trials"]
    with registry.database.writing() as connection:
        number = _next(connection, table.c.number)
        connection.execute(table.insert().values(number=number, **columns))
        note_begun(registry.database, connection, f"search s{number}")
    return msgspec.structs.replace(search, id=f"s{number}")


def add_trial(registry: Registry, search: Search, trial: SearchTrial) -> None:
    """Add a trial to a search."""
    import sqlalchemy as sa

    from flyball.registry.tables import trials as table

    columns = msgspec.structs.asdict(trial)
    columns["params"] = _text(columns["params"])
    if columns["value"] is not None and not math.isfinite(columns["value"]):
        columns["value"] = None
    of_this = table.c.search_number == _number(search.id)
    with registry.database.writing() as connection:
        last = connection.execute(sa.select(sa.func.max(table.c.number)).where(of_this)).scalar() or 0
        connection.execute(table.insert().values(search_number=_number(search.id), number=last + 1, **columns))


def end_search(registry: Registry, search: Search, status: RunStatus, now_us: int, about: JsonObject) -> None:
    """Register the end of a search, with its status and result."""
    from flyball.registry.tables import searches as table

    with registry.database.writing() as connection:
        connection.execute(
            table.update()
            .where(table.c.number == _number(search.id))
            .values(status=status, ended_us=now_us, about=_text(about))
        )
        note_ended(connection, [f"search {search.id}"])


def searches_of(registry: Registry, search_id: str | None = None) -> list[Search]:
    """All searches with their trials, oldest first, or the one with `search_id`; raises `NotFound`.

    One whose process was killed has the status "interrupted".
    """
    searches = [_search(row) for row in registry.database.rows("SELECT * FROM searches ORDER BY number")]
    if any(search.status == "running" for search in searches):
        alive = at_work(registry.database)
        searches = [
            msgspec.structs.replace(search, status="interrupted")
            if search.status == "running" and f"search {search.id}" not in alive
            else search
            for search in searches
        ]
    if search_id is not None:
        known = [search.id for search in searches]
        searches = [search for search in searches if search.id == search_id]
        if not searches:
            raise NotFound(
                "search", search_id, known[-12:], "flyball search list shows all, flyball search run makes one"
            )
    return [msgspec.structs.replace(search, trials=_trials(registry, search)) for search in searches]


def _search(row: dict[str, Any]) -> Search:
    fields = {**row, "id": f"s{row['number']}", "about": msgspec.json.decode(row["about"])}
    return msgspec.convert(fields, Search)


def _trials(registry: Registry, search: Search) -> list[SearchTrial]:
    rows = registry.database.rows(
        "SELECT * FROM trials WHERE search_number = :number ORDER BY number", number=_number(search.id)
    )
    return [msgspec.convert({**row, "params": msgspec.json.decode(row["params"])}, SearchTrial) for row in rows]
