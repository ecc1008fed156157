"""Finds the lines in quarantine that name a person: by their fields where they read as a row, else in their text."""

import csv
from collections.abc import Iterable

from flyball.events import Quarantine, Quarantined, read_json
from flyball.removal.rows import RowReader
from flyball.removal.tables import rows_without
from flyball.removal.words import id_pattern, longer_ids, stands_in, whole_pattern

_PAGE = 5_000


def lines_about(quarantine: Quarantine, reader: RowReader, known: Iterable[str] = ()) -> list[int]:
    """The ids of the lines in any state that name one of the people: in a field of their entity, or, of a line that
    does not read as a row with such a field, as a whole word of its text, its reason or its source.

    `known`: ids of others, which may be longer.
    """
    if not reader.people:
        return []
    others = longer_ids(known, reader.people)
    in_text, in_source = whole_pattern(reader.people, others), id_pattern(reader.people, others)
    ids, after = list[int](), 0
    while page := quarantine.list(state=None, after=after, limit=_PAGE):
        for entry in page:
            verdict = _field_names(entry, reader)
            texts = (entry.raw, entry.detail.encode(errors="surrogateescape"), entry.header)
            is_named = verdict or (verdict is None and any(stands_in(in_text, text) for text in texts))
            if is_named or stands_in(in_source, entry.source.encode()):
                ids.append(entry.id)
        after = page[-1].id
    return ids


def _field_names(entry: Quarantined, reader: RowReader) -> bool | None:
    """Whether the line names one of the people in a field; None where it has no such field to compare."""
    if not entry.header:
        return reader.names(read_json(entry.raw))
    text = b"\n".join((entry.header.strip(b"\r\n"), entry.raw)).decode(errors="surrogateescape")
    try:
        _, removed, is_known = rows_without(text, reader)
    except csv.Error:  # a quote that is not closed
        return None
    return True if removed else False if is_known else None
