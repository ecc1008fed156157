"""The contract of every registry: what was written comes back to the bit, decisions are taken once, and a handle works
again when its database is back.

The test of a backend calls each function of `CHECKS` with a function that opens the same, at first empty registry.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from flyball.core import NotFound, Refused
from flyball.registry import (
    OF_PROCESSES,
    AccessKey,
    AuditEntry,
    Case,
    IncidentEntry,
    Registry,
    ReleaseStep,
    Run,
    Search,
    SearchTrial,
    Version,
    access_keys,
    add_access_key,
    add_arrangement,
    add_entry,
    add_to_buckets,
    add_trial,
    add_versions,
    begin_run,
    begin_search,
    cases_of,
    change_key_limits,
    changing_incidents,
    close_case,
    end_run,
    end_search,
    erased_digests,
    erased_state,
    incident_documents,
    incident_entries,
    link_run,
    note_key_uses,
    open_case,
    refuse_case,
    replace_release,
    revoke_access_key,
    searches_of,
    share_erased,
)

Open = Callable[[], Registry]

LARGEST, SMALLEST = 2**63 - 1, -(2**63)
TEXT = "ü 日本 \" ' \\ % :name %(name)s ;-- \n\t\x01 \U0001f3ac"


def version_of(run: Run, candidate: str = "popular", **fields: object) -> Version:
    """A version with every field filled in."""
    known = {
        "app": "movies",
        "candidate": candidate,
        "kind": "flyball.models:Popular",
        "params": {"half_life": "30d", "ü": [None, True, 0.1]},
        "seed": 2**40,
        "snapshot": "s1",
        "as_of_us": 5,
        "created_us": 2**52,
        "run": run.id,
        "state": "candidate",
        "code_commit": "abc",
        "code_dirty": True,
        "dependencies_hash": "d",
        "metrics": {"ndcg@20": {"value": 0.125}},
        "gates": [{"name": "full lists", "passed": True, "reason": "ok"}],
        "artifact": "r1-popular",
        "artifact_files": {"x.npy": "00"},
        "declaration": {"stages": [1, 2.5]},
        "features": {"clicks": "h"},
        "code": {"shop.py:Own": {"answers": "a", "with_fit": "b"}},
        "training": {"from": "v1"},
    }
    return Version(**(known | fields))  # type: ignore[arg-type]  # fields by name


def key_of(key_id: str, name: str = "front", **fields: object) -> AccessKey:
    """A key with all columns set."""
    known: dict[str, object] = {
        "id": key_id,
        "name": name,
        "roles": ("serve", "write-events"),
        "origins": ("https://shop.example", "http://localhost:3000"),
        "salt": "00ff",
        "digest": "ab" * 32,
        "created_us": 100,
        "created_by": TEXT,
        "event_types": ("click", "view"),
    }
    return AccessKey(**(known | fields))  # type: ignore[arg-type]  # fields by name


def check_keys_are_revoked_once_and_every_change_is_in_the_audit_trail(open_registry: Open) -> None:
    registry = open_registry()
    first, second = key_of("k1", expires_us=200), key_of("k2", TEXT, origins=(), created_us=101)
    for key in (first, second):
        add_access_key(registry, key, "a reason")
    assert access_keys(open_registry()) == [first, second]
    with pytest.raises(Refused, match="name of a key must be that of no key in force, got 'front', which k1 has"):
        add_access_key(registry, key_of("k3", created_us=199), "")
    add_access_key(registry, key_of("k3", created_us=200), "the other has expired")
    note_key_uses(registry, {"k1": 150, "k2": 160})
    note_key_uses(open_registry(), {"k1": 140, "k2": 170})
    revoked = revoke_access_key(registry, TEXT, "ben", "leaked", 300)
    assert (revoked.id, revoked.revoked_us, revoked.revoked_by) == ("k2", 300, "ben")
    with pytest.raises(Refused, match="key k2 must be in force to be revoked"):
        revoke_access_key(registry, "k2", "ben", "", 301)
    with pytest.raises(NotFound, match="no key 'k9'; known: k1, k2, k3"):
        revoke_access_key(registry, "k9", "ben", "", 301)
    assert {key.id: (key.used_us, key.revoked_us) for key in access_keys(registry)} == {
        "k1": (150, None),
        "k2": (170, 300),
        "k3": (None, None),
    }
    entries = [(entry.action, entry.subject, entry.by, entry.at_us) for entry in registry.audit()]
    assert entries[0] == ("keys create", "k1", TEXT, 100)
    assert entries[-1] == ("keys revoke", "k2", "ben", 300)
    assert [entry.after.get("event_types") for entry in registry.audit()[:2]] == [["click", "view"]] * 2
    assert not any("ab" * 32 in repr(entry) for entry in registry.audit())


def check_the_limits_of_a_key_change_with_their_entry(open_registry: Open) -> None:
    registry = open_registry()
    add_access_key(registry, key_of("k1", limit_answers="5/s"), "")
    changed = change_key_limits(registry, "front", {"limit_answers": "", "limit_events": "none"}, "ben", "more", 200)
    assert access_keys(open_registry()) == [changed]
    assert (changed.limit_answers, changed.limit_events) == ("", "none")
    entry = registry.audit()[-1]
    assert (entry.action, entry.subject, entry.by, entry.reason) == ("keys limit", "k1", "ben", "more")
    assert (entry.before, entry.after) == (
        {"limit_answers": "5/s", "limit_events": ""},
        {"limit_answers": "", "limit_events": "none"},
    )
    revoke_access_key(registry, "k1", "ben", "", 300)
    with pytest.raises(Refused, match="key k1 must be in force to be limited"):
        change_key_limits(registry, "k1", {"limit_events": ""}, "ben", "", 301)
    with pytest.raises(NotFound, match="no key 'k9'"):
        change_key_limits(registry, "k9", {"limit_events": ""}, "ben", "", 301)


def check_machines_take_from_one_bucket(open_registry: Open) -> None:
    hour = 3_600 * 10**9
    first_machine, other = open_registry(), open_registry()
    first = add_to_buckets(first_machine, [("a", hour // 2, 0), ("b", 5, 0)])
    assert 0.49 * hour < first["a"] <= hour // 2
    assert hour < add_to_buckets(other, [("a", hour, 0)])["a"] <= 1.5 * hour, "what both took"
    assert add_to_buckets(other, [("c", 10, hour)]) == {"c": 0}, "it was taken an hour ago, and is full again"
    assert add_to_buckets(first_machine, []) == {}
    names = {row["name"] for row in first_machine.database.rows("SELECT name FROM shared_buckets")}
    assert {"a"} <= names <= {"a", "b", "c"}, "those that have been full for an hour may be gone"


def check_every_machine_knows_who_was_erased(open_registry: Open) -> None:
    first_machine, other = open_registry(), open_registry()
    assert (erased_digests(first_machine), erased_state(first_machine)) == ({}, (0, 0))
    share_erased(first_machine, {b"k": {"d1": 5, "d2": 6}})
    assert erased_state(other) == (2, 6)
    share_erased(other, {b"other": {"d3": LARGEST}, b"k": {"d1": 4, "d2": 9}})
    assert erased_digests(first_machine) == {b"k": {"d1": 5, "d2": 9}, b"other": {"d3": LARGEST}}


def _entry(text: str = "best", at_us: int = 8) -> AuditEntry:
    return AuditEntry(at_us=at_us, by="ann", action="promote", subject="v1", reason=text, after={"champion": "v1"})


def check_a_new_registry_is_empty(open_registry: Open) -> None:
    registry = open_registry()
    lists = (
        registry.versions(),
        registry.runs(),
        registry.audit(),
        registry.arrangements(),
        registry.release_objects(),
    )
    assert lists == ([], [], [], [], [])
    assert registry.released() is None
    assert (cases_of(registry), searches_of(registry), incident_documents(registry, "incidents")) == ([], [], [])
    with pytest.raises(NotFound):
        registry.version("v1")


def check_versions_and_runs_come_back_as_they_went_in(open_registry: Open) -> None:
    registry = open_registry()
    run = begin_run(registry, TEXT, as_of_us=SMALLEST, now_us=LARGEST)
    extremes = version_of(run, TEXT, seed=LARGEST, as_of_us=SMALLEST, code_dirty=False, reason=TEXT)
    added = add_versions(registry, [version_of(run), extremes])
    end_run(registry, run, "done", LARGEST, report={"note": TEXT, "none": None}, snapshot=TEXT)
    assert [version.id for version in added] == ["v1", "v2"]
    again = open_registry()
    assert again.versions() == added
    assert [again.version("v1"), again.version("v2")] == added
    ended = msgspec.structs.replace(
        run, status="done", snapshot=TEXT, ended_us=LARGEST, report={"note": TEXT, "none": None}
    )
    assert again.runs() == [ended]


def check_all_versions_of_a_call_are_added_or_none(open_registry: Open) -> None:
    registry = open_registry()
    run = begin_run(registry, "movies", 5, 6)
    with pytest.raises(TypeError):
        add_versions(registry, [version_of(run), version_of(run, params={"x": object()})])
    assert registry.versions() == []
    assert begin_run(registry, "movies", 5, 6).id == "r2", "the handle works on, and an id is not given twice"


def check_of_two_releases_from_one_serial_one_wins(open_registry: Open) -> None:
    registry, other = open_registry(), open_registry()
    run = begin_run(registry, "movies", 5, 6)
    add_versions(registry, [version_of(run), version_of(run)])
    row = replace_release(registry, 0, {"champion": "v1"}, {"v1": "champion"}, _entry())
    assert (row.serial, row.changed_us, other.released()) == (1, 8, row)
    with pytest.raises(Refused, match="release must start from serial 0, got 1: another release came in between"):
        replace_release(other, 0, {"champion": "v2"}, {"v2": "champion"}, _entry())
    assert [version.state for version in registry.versions()] == ["champion", "candidate"]
    assert registry.audit() == [_entry()]


def check_of_many_releases_at_once_one_wins(open_registry: Open) -> None:
    registry = open_registry()
    run = begin_run(registry, "movies", 5, 6)
    add_versions(registry, [version_of(run)])
    ready = threading.Barrier(6)

    def release(number: int) -> str:
        own = open_registry()
        ready.wait()
        try:
            replace_release(own, 0, {"champion": "v1", "by": number}, {"v1": "champion"}, _entry())
        except Refused as error:
            return str(error).partition(":")[0]
        return "won"

    with ThreadPoolExecutor(6) as threads:
        ends = sorted(threads.map(release, range(6)))
    assert ends == ["release must start from serial 0, got 1"] * 5 + ["won"]
    assert len(registry.audit()) == 1


def check_releases_keep_their_steps(open_registry: Open) -> None:
    registry = open_registry()
    step = ReleaseStep(release=3, kind="canary", command="start", before="", after="canary", evidence={"n": LARGEST})
    further = msgspec.structs.replace(step, command="ramp", before="canary", step=1, document={"share": 0.5})
    for serial, change in enumerate((step, further)):
        replace_release(registry, serial, {"champion": None}, {}, _entry(at_us=serial), [change])
    assert registry.release_objects() == [{"share": 0.5}]
    stored = registry.release_steps(3)
    assert [(s.command, s.before, s.step, s.at_us, s.by, s.serial) for s in stored] == [
        ("start", "", 0, 0, "ann", 1),
        ("ramp", "canary", 1, 1, "ann", 2),
    ]
    assert (stored[0].evidence, registry.release_steps(4)) == ({"n": LARGEST}, [])


def check_audit_entries_and_arrangements_come_in_order(open_registry: Open) -> None:
    registry = open_registry()
    entries = [_entry(TEXT, at_us) for at_us in (9, SMALLEST, LARGEST)]
    for entry in entries:
        add_entry(registry, entry)
    assert open_registry().audit() == entries
    first = add_arrangement(registry, "movies", {"b": 1, "a": 0.1}, "ann", TEXT, 5)
    assert add_arrangement(registry, "movies", {"a": 0.1, "b": 1}, "bob", "same", 6) == first
    second = add_arrangement(registry, "movies", {"a": 0.2}, "bob", "other", 7)
    assert open_registry().arrangements() == [first, second]
    assert registry.arrangement("a2") == second


def check_searches_keep_numbers_to_the_bit(open_registry: Open) -> None:
    registry = open_registry()
    about: dict[str, object] = {
        "app": "shop",
        "how": "random",
        "metric": "ndcg@5",
        "snapshot": "s",
        "status": "running",
    }
    search = Search(id="", budget=1 / 3, seed=LARGEST, as_of_us=5, started_us=6, **about)  # type: ignore[arg-type]
    begun = begin_search(registry, search)
    values = [0.1, 5e-324, -1.7976931348623157e308, 1 / 3, None, float("nan"), float("inf")]
    trials = [
        SearchTrial(candidate="ü", params={"l2": 0.1}, share=1 / 7, value=value, seconds=1e-9) for value in values
    ]
    for trial in trials:
        add_trial(registry, begun, trial)
    end_search(registry, begun, "done", 9, {"best": [1]})
    (stored,) = searches_of(open_registry())
    assert [trial.value for trial in stored.trials] == [*values[:5], None, None]
    assert (stored.budget, stored.seed, stored.trials[0].share, stored.about) == (1 / 3, LARGEST, 1 / 7, {"best": [1]})


def check_cases_are_written_as_they_go(open_registry: Open) -> None:
    registry = open_registry()
    case = Case(app="shop", trigger="by hand", kind="drift", cause=TEXT, opened_us=LARGEST, evidence={"ü": [1.5, None]})
    opened, waiting = open_case(registry, case), open_case(registry, case)
    refused = refuse_case(registry, opened, 7, "cooldown")
    run = begin_run(registry, "shop", 1, 2)
    link_run(registry, [opened.id], run)
    close_case(registry, opened.id, 11, "v3 is the champion now")
    close_case(registry, opened.id, 12, "closed before")
    closed = msgspec.structs.replace(
        refused, status="closed", run=run.id, closed_us=11, outcome="v3 is the champion now"
    )
    assert cases_of(open_registry()) == [closed, waiting]


def check_incidents_change_together_and_by_revision(open_registry: Open) -> None:
    registry = open_registry()
    entry = IncidentEntry(incident=1, at_us=5, by="ü", command="open", before="", after="open", evidence={"a": [1]})
    with changing_incidents(registry) as rows:
        rows.put_incident(rows.next_number("incidents"), 1, {"id": "inc1"}, "open", "low")
        rows.put("sinks", "log", {"name": "log"}, delivered=0)
        rows.put("notifications", rows.next_number("notifications"), {"n": 1}, incident_number=None, at_us=LARGEST)
        rows.add_entry(entry)
    with pytest.raises(TypeError), changing_incidents(registry) as rows:
        rows.put("incidents", 1, {"id": object()}, state="closed", severity="low", revision=2)
    with changing_incidents(registry) as rows:
        rows.put_incident(1, 2, {"id": "inc1", "n": 2}, "open", "low")
    with pytest.raises(Refused, match="inc1 must be at revision 1, got another"), changing_incidents(registry) as rows:
        rows.put_incident(1, 2, {}, "closed", "low")
    assert incident_documents(open_registry(), "incidents", "state <> 'closed'") == [{"id": "inc1", "n": 2}]
    assert incident_documents(registry, "notifications", "at_us >= :at", at=LARGEST) == [{"n": 1}]
    assert incident_documents(registry, "notifications", "incident_number IS NULL") == [{"n": 1}]
    assert incident_entries(registry) == incident_entries(registry, 1) == [entry]


def check_rows_with_names_come_in_order_of_their_letters(open_registry: Open) -> None:
    registry = open_registry()
    names = ["b", "a", "B", "ä", "Z", "a-b", "ab", "_", "z"]  # a locale would mix upper and lower case
    with changing_incidents(registry) as rows:
        for name in names:
            rows.put("alerts", name, {"name": name}, state="firing", incident_number=None)
        assert [document["name"] for document in rows.documents("alerts")] == sorted(names)
    assert [document["name"] for document in incident_documents(registry, "alerts")] == sorted(names)


def check_many_openers_of_a_new_registry_agree(open_registry: Open) -> None:
    with ThreadPoolExecutor(6) as threads:
        ids = list(threads.map(lambda _: begin_run(open_registry(), "movies", 5, 6).id, range(8)))
    assert sorted(ids) == [f"r{number}" for number in range(1, 9)]


def check_threads_share_a_handle(open_registry: Open) -> None:
    registry = open_registry()

    def work(_: int) -> int:
        run = begin_run(registry, "movies", 5, 6)
        return [known.id for known in registry.runs()].count(run.id)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(24))) == [1] * 24


def check_a_handle_opened_before_a_fork_serves_both_sides(open_registry: Open) -> None:
    registry = open_registry()
    begin_run(registry, "movies", 5, 6)
    child = os.fork()
    if child == 0:
        right = False
        try:
            right = len(registry.runs()) == 1 and begin_run(registry, "movies", 5, 6).id == "r2"
        finally:
            sys.stdout.flush()
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert begin_run(registry, "movies", 5, 6).id == "r3"
    assert len(registry.runs()) == 3


def fill(registry: Registry) -> None:
    """Put rows with odd texts and extreme numbers into most tables."""
    run = begin_run(registry, TEXT, as_of_us=SMALLEST, now_us=LARGEST)
    add_versions(registry, [version_of(run), version_of(run, TEXT, seed=LARGEST, code_dirty=False)])
    step = ReleaseStep(release=1, kind="immediate", command="start", before="", after="champion")
    replace_release(registry, 0, {"champion": "v1"}, {"v1": "champion"}, _entry(TEXT), [step])
    add_arrangement(registry, "movies", {"a": 0.1}, "ann", TEXT, 5)
    search = Search(
        id="",
        app="shop",
        how="random",
        budget=1 / 3,
        seed=1,
        metric="m",
        as_of_us=1,
        snapshot="s",
        started_us=1,
        status="done",
    )
    add_trial(registry, begin_search(registry, search), SearchTrial(candidate="ü", params={}, share=0.1, value=5e-324))
    case = open_case(registry, Case(app="shop", trigger="by hand", kind="drift", cause=TEXT, opened_us=LARGEST))
    link_run(registry, [case.id], run)
    add_access_key(registry, key_of("k1", TEXT, expires_us=LARGEST, limit_answers="none"), TEXT)
    share_erased(registry, {b"k": {"d1": LARGEST}})
    with changing_incidents(registry) as rows:
        rows.put_incident(1, 1, {"id": "inc1", "text": TEXT}, "open", "low")
        rows.put("alerts", "ü", {"n": 1}, state="firing", incident_number=1)
        rows.put("sinks", "log", {"name": "log"}, delivered=0)
        rows.put("notifications", 1, {"n": 1}, incident_number=None, at_us=LARGEST)
        rows.put("silences", 1, {"n": 1}, ends_us=LARGEST)
        rows.add_entry(IncidentEntry(incident=1, at_us=5, by="ü", command="open", before="", after="open"))


def contents(registry: Registry) -> dict[str, list[tuple[object, ...]]]:
    """{table: its rows, sorted}, without those of processes at work."""
    from flyball.registry.tables import metadata

    names = [table for table in metadata.tables if table not in OF_PROCESSES]
    tables = {table: registry.database.rows(f"SELECT * FROM {table}") for table in names}  # noqa: S608
    return {table: sorted((tuple(row.values()) for row in rows), key=repr) for table, rows in tables.items()}


CHECKS: dict[str, Callable[[Open], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_a_new_registry_is_empty,
        check_versions_and_runs_come_back_as_they_went_in,
        check_all_versions_of_a_call_are_added_or_none,
        check_of_two_releases_from_one_serial_one_wins,
        check_of_many_releases_at_once_one_wins,
        check_releases_keep_their_steps,
        check_audit_entries_and_arrangements_come_in_order,
        check_searches_keep_numbers_to_the_bit,
        check_cases_are_written_as_they_go,
        check_incidents_change_together_and_by_revision,
        check_keys_are_revoked_once_and_every_change_is_in_the_audit_trail,
        check_the_limits_of_a_key_change_with_their_entry,
        check_machines_take_from_one_bucket,
        check_every_machine_knows_who_was_erased,
        check_rows_with_names_come_in_order_of_their_letters,
        check_many_openers_of_a_new_registry_agree,
        check_threads_share_a_handle,
        check_a_handle_opened_before_a_fork_serves_both_sides,
    )
}
