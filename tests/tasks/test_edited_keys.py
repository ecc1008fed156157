"""Every key of a declaration is edited in a home that was filled before; what comes of it is what its entry says.

The keys are read off the classes, so that a new one without an entry fails here. No edit changes an answer of before:
its replay is identical, or it is refused with the reason.
"""

from pathlib import Path

import pytest
from tests.tasks.edits.homes import REQUESTS, learned
from tests.tasks.edits.keys import keys
from tests.tasks.edits.page import PAGE, missing, written
from tests.tasks.edits.table import ALL, FIXED, RULES, Edit
from tests.tasks.predict.edited import EditedHome

from flyball.core import FlyballError
from flyball.outcomes import Prediction
from flyball.provenance import replay
from flyball.releases import current, rollback_arrangement
from flyball.serving import learned_otherwise, outages

Shown = tuple[str, str, list[float], str, list[str], list[float]]


class Homes:
    """A home of each application, learned once, with its answers by the file as it was."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._homes = folder, dict[str, tuple[EditedHome, list[Prediction]]]()

    def of(self, name: str) -> tuple[EditedHome, list[Prediction]]:
        if name not in self._homes:
            (self._folder / name).mkdir()
            home = learned(self._folder / name, name)
            self._homes[name] = home, home.answers(REQUESTS[name]())
        return self._homes[name]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    return Homes(tmp_path_factory.mktemp("edited"))


def shown(answers: list[Prediction]) -> list[Shown]:
    return [
        (answer.level, answer.version, answer.values, answer.decision, answer.items, answer.scores)
        for answer in answers
    ]


def test_every_key_has_an_edit() -> None:
    edited = {*(edit.key for edit in (*ALL, *RULES)), *FIXED}
    assert {*keys()} - edited == set(), "say in tests/tasks/edits/table.py what an edit of it does"
    assert edited - {*keys()} == set(), "it is no key any more"


def test_the_page_says_what_is_checked_here() -> None:
    page = PAGE.read_text()
    assert missing() == set()
    assert page == written(page), "write it with python -m tests.tasks.edits.page"


@pytest.mark.parametrize("edit", ALL, ids=[f"{index}-{edit.key}" for index, edit in enumerate(ALL)])
def test_an_edit_does_what_its_entry_says(homes: Homes, tmp_path: Path, edit: Edit) -> None:
    home, before = homes.of(edit.home)
    if edit.outcome == "refused":
        check_refused(home, before, tmp_path, edit)
        return
    edited = home.copy(tmp_path, edit.text)
    check_served(edited, before, edit)


@pytest.mark.parametrize("owner", sorted({edit.key.split(".")[0] for edit in RULES}))
def test_rules_of_learning_and_releases_change_no_answer(homes: Homes, tmp_path: Path, owner: str) -> None:
    edits = [edit for edit in RULES if edit.key.startswith(f"{owner}.")]
    home, before = homes.of(edits[0].home)
    edited = home.copy(tmp_path, home.text)
    for edit in edits:
        assert edit.home == edits[0].home
        check_served(edited.reopened(edit.text), before, edit)


def check_refused(home: EditedHome, before: list[Prediction], folder: Path, edit: Edit) -> None:
    """`check` says why before anything else happens, and no answer of before is called another."""
    edited = opened(home, folder, edit)
    if isinstance(edited, FlyballError):
        assert edit.says in str(edited), edited
        return
    (outage,) = outages(edited.runtime)
    assert (outage.role, edit.says in outage.reason) == ("champion", True), outage.reason
    after = edited.answers(REQUESTS[edit.home]())
    assert {answer.level for answer in after} <= {"empty", "default", "popular"}
    for answer in before[:2]:
        again = replay(edited.runtime, answer.id)
        assert not again.replayable, again.text()
        assert edit.says in again.text()


def opened(home: EditedHome, folder: Path, edit: Edit) -> EditedHome | FlyballError:
    """The home under the edited file, or why it cannot be opened."""
    try:
        return home.copy(folder, edit.text)
    except FlyballError as error:
        return error


def check_served(edited: EditedHome, before: list[Prediction], edit: Edit) -> None:
    requests, version = REQUESTS[edit.home](), before[0].version
    assert outages(edited.runtime) == []
    named = "\n".join(older.text() for older in learned_otherwise(edited.runtime))
    assert edit.says in named, named
    assert bool(named) == bool(edit.says), named
    undeclared = edited.answers(requests)
    edited.declare()
    after = edited.answers(requests)
    assert {(answer.level, answer.version) for answer in after} == {("champion", version)}
    revisions = [answer.arrangement for answer in (before[0], undeclared[0], after[0])]
    assert revisions == ([1, 1, 2] if edit.outcome == "arrangement" else [1, 1, 1])
    if edit.outcome != "at once":
        assert shown(undeclared) == shown(before)
    if edit.outcome in ("same", "next version"):
        assert shown(after) == shown(before)
    for answer in (*before[:2], undeclared[0], *after[:2]):
        again = replay(edited.runtime, answer.id)
        assert again.identical, again.text()
    if edit.outcome == "arrangement":
        rollback_arrangement(edited.runtime.registry, "back", "ann", edited.clock.now_us())
        assert current(edited.runtime.registry).arrangement == 1
        assert shown(edited.answers(requests)) == shown(before)
