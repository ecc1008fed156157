"""Takes ids of people out of the registry: holds, suspects, words of incidents, notes, cases and the audit trail.

Only what is listed here is changed. Names, ids of versions and releases, states, declarations, digests and numbers stay
as they are, whatever the id of a person is.
"""

from typing import Any

from flyball.registry import HELD_ACTIONS, Registry, replace_texts, rewrite_registry, text_columns
from flyball.removal.texts import Redaction

WORDS: dict[str, tuple[str, ...]] = {
    "versions": ("reason",),
    "arrangements": ("created_by", "reason"),
    "audit": ("by_whom", "reason"),
    "release_transitions": ("by_whom", "reason"),
    "trials": ("failed",),
    "incident_entries": ("by_whom", "reason"),
    "cases": ("cause", "outcome"),
    "access_keys": ("created_by", "revoked_by"),
}
"""{table: its columns of words that people or monitors wrote}."""

DOCUMENTS: dict[str, tuple[str, ...]] = {
    "runs": ("report",),
    "versions": ("gates",),
    "audit": ("before_json", "after_json"),
    "releases": ("document",),
    "release_objects": ("document",),
    "release_transitions": ("evidence",),
    "incidents": ("document",),
    "alerts": ("document",),
    "incident_entries": ("evidence",),
    "silences": ("document",),
    "notifications": ("document",),
    "sinks": ("document",),
    "cases": ("evidence", "refusals", "expected"),
}
"""{table: its columns of documents}, of which only the keys in `PROSE_KEYS` and lists of suspects are changed."""


def clean_registry(registry: Registry, redaction: Redaction) -> int:
    """Take the ids out of the words of all tables, and leave no byte of the former ones; returns how many rows were
    changed."""
    changed = 0
    for table, keys, _ in text_columns():
        if table not in WORDS and table not in DOCUMENTS:
            continue
        for row in registry.database.rows(f"SELECT * FROM {table}"):  # noqa: S608
            cleaned = _cleaned(table, row, redaction)
            new: dict[str, Any] = {name: text for name, text in cleaned.items() if text != row[name]}
            if new:
                replace_texts(registry, table, {key: row[key] for key in keys}, new)
                changed += 1
    if changed:
        rewrite_registry(registry)
    return changed


def _cleaned(table: str, row: dict[str, Any], redaction: Redaction) -> dict[str, str]:
    cleaned = {name: redaction.text(row[name]) for name in WORDS.get(table, ()) if row[name]}
    holds = table == "audit" and row["action"] in HELD_ACTIONS
    for name in DOCUMENTS.get(table, ()):
        if row[name]:
            cleaned[name] = redaction.shares(row[name], row["subject"]) if holds else redaction.own_document(row[name])
    return cleaned
