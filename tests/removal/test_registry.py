"""Of the registry an erasure changes words and suspects, whatever the id is; the rest of it is read by machines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.files import files_in
from flyball.home import HomeLayout
from flyball.models import has_artifact, save_artifact
from flyball.registry import (
    Registry,
    add_versions,
    begin_run,
    changing_incidents,
    hold_accounts,
    holds_at,
    incident_documents,
    text_columns,
)
from flyball.releases import ReleaseState, current, promote
from flyball.removal import Person
from flyball.removal.registry import clean_registry
from flyball.removal.texts import Redaction, clean_home_files

from .homes import version_of

FINDING: dict[str, Any] = {
    "monitor": "suspects",
    "subject": "accounts.user",
    "message": "3 suspect users among 40 (7, 8, 9): user 7 acts 12 times a day, others 40 times",
    "evidence": {"suspects": ["7", "8", "9"], "p": 0.001},
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry with a champion that declares limits, a held account, and an alert on suspects."""
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    begin_run(registry, "cinema", 1, 1)
    files = save_artifact(tmp_path / "artifacts" / "r1-item_knn", {"kind": "popular"}, {})
    version = msgspec.structs.replace(
        version_of("r1-item_knn", "snapshot-1"),
        artifact_files=files,
        candidate="item_knn",
        kind="item_knn",
        params={"neighbors": 100_000},
        declaration={"events": {"watch": {"minute": {"le": 100_000}}}, "kinds": ["champion"]},
        metrics={"ndcg": {"value": 0.5, "low": 0.4, "high": 0.6}},
        gates=[{"name": "better_than_champion", "passed": True, "reason": "item_knn wins"}],
    )
    add_versions(registry, [version])
    promote(registry, "v1", "because", "ann", 10, artifacts=tmp_path / "artifacts")
    hold_accounts(registry, "user", {"7": 0.5, "8": 0.0}, by="watch", reason=FINDING["message"], at_us=20)
    alert = {"fingerprint": "a43e62158982", "state": "firing", "first": FINDING, "last": FINDING, "looked_us": 1}
    with changing_incidents(registry) as rows:
        rows.put("alerts", "a43e62158982", alert, state="firing")
    return registry


def rows_of(registry: Registry) -> dict[str, list[dict[str, Any]]]:
    return {table: list(registry.database.rows(f"SELECT * FROM {table}")) for table, _, _ in text_columns()}


def without_words(state: ReleaseState) -> ReleaseState:
    return msgspec.structs.replace(
        state, releases=tuple(msgspec.structs.replace(release, reason="") for release in state.releases)
    )


def words_in(value: Any) -> Iterator[str]:
    """All texts, keys and numbers of a value, those inside of documents too."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield str(key)
            yield from words_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from words_in(member)
    elif isinstance(value, str) and value[:1] in ("{", "["):
        yield from words_in(msgspec.json.decode(value))
    elif value is not None:
        yield str(value)


@pytest.mark.parametrize("entity", ["user", "film"])
def test_no_word_of_a_registry_breaks_it_where_it_is_an_id(registry: Registry, tmp_path: Path, entity: str) -> None:
    release, versions, runs = current(registry), registry.versions(), rows_of(registry)["runs"]
    words = {word for word in words_in(rows_of(registry)) if word.strip()}
    assert {"champion", "v1", "item_knn", "r1-item_knn", "100000", "firing"} <= words
    clean_registry(registry, Redaction([Person(entity, word) for word in words]))
    assert without_words(current(registry)) == without_words(release)
    changed = registry.versions()
    assert [msgspec.structs.replace(version, reason="", gates=[]) for version in changed] == [
        msgspec.structs.replace(version, reason="", gates=[]) for version in versions
    ]
    assert [gate["name"] for gate in changed[0].gates] == ["better_than_champion"]
    assert has_artifact(files_in(tmp_path / "artifacts"), changed[0].artifact)
    assert rows_of(registry)["runs"] == runs
    assert incident_documents(registry, "alerts")[0]["state"] == "firing"
    assert [entry.action for entry in registry.audit()] == ["promote", "suspects hold"]


def test_holds_and_suspects_of_the_entity_go_and_those_of_another_stay(registry: Registry) -> None:
    clean_registry(registry, Redaction([Person("film", "7")]))
    assert list(holds_at(registry, "user")) == ["7", "8"]
    assert incident_documents(registry, "alerts")[0]["last"] == FINDING
    clean_registry(registry, Redaction([Person("user", "7")]))
    assert list(holds_at(registry, "user")) == ["8"]
    last = incident_documents(registry, "alerts")[0]["last"]
    assert last["evidence"] == {"suspects": ["8", "9"], "p": 0.001}
    said = "3 suspect users among 40 ([erased], 8, 9): user [erased] acts 12 times a day, others 40 times"
    assert (last["message"], holds_at(registry, "user")["8"].reason) == (said, said)


def test_who_acted_is_free_text_that_may_name_somebody(registry: Registry) -> None:
    said = "friend of 987654321"
    hold_accounts(registry, "user", {"8": 0.5}, by=said, reason="odd", at_us=30)
    silence = {"id": "sil1", "by": said, "reason": "", "owner": said, "slices": [{"by": "987654321"}]}
    with changing_incidents(registry) as rows:
        rows.put("silences", 1, silence, ends_us=40)
    clean_registry(registry, Redaction([Person("user", "987654321")]))
    assert registry.audit()[-1].by == "friend of [erased]"
    left = incident_documents(registry, "silences")[0]
    assert (left["by"], left["owner"]) == ("friend of [erased]", "friend of [erased]")
    assert left["slices"] == [{"by": "987654321"}]  # the name of a feature


def test_own_documents_in_the_home_keep_their_numbers_and_states(tmp_path: Path) -> None:
    for name in ("world.json", "run/worker.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"seed":100000,"state":"running","message":"user 100000 waits"}')
    redaction = Redaction([Person("user", "100000"), Person("user", "running")])
    clean_home_files(HomeLayout(tmp_path), redaction, lambda words: None)
    for name in ("world.json", "run/worker.json"):
        left = msgspec.json.decode((tmp_path / name).read_text())
        assert left == {"seed": 100_000, "state": "running", "message": "user [erased] waits"}
