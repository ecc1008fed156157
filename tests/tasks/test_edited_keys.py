"""Every key of a declaration is edited in a home that was filled before; what comes of it is what its entry says.

The keys are read off the classes, so that a new one without an entry fails here. No edit changes an answer of before:
its replay is identical, or it is refused with the reason.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations, islice
from pathlib import Path

import msgspec
import pytest
from tests.tasks.edits.homes import REQUESTS, learned
from tests.tasks.edits.keys import keys
from tests.tasks.edits.page import PAGE, missing, written
from tests.tasks.edits.table import ALL, FIXED, RULES, Edit, together
from tests.tasks.predict.edited import EditedHome

from flyball.core import FlyballError
from flyball.outcomes import Prediction
from flyball.provenance import replay
from flyball.releases import current, rollback_arrangement
from flyball.runtime import Runtime, identity_changes_in
from flyball.serving import learned_otherwise, outages
from flyball.serving.http.documents import AnswerDocument

Shown = tuple[str, str, str, list[str], list[float], dict[str, float]]


class Before(msgspec.Struct, frozen=True):
    """A home that has learned, and its answers by the file as it was."""

    home: EditedHome
    answers: list[Prediction]

    @classmethod
    def of(cls, folder: Path, name: str) -> "Before":
        home = learned(folder, name)
        return cls(home, home.answers(REQUESTS[name]()))

    @property
    def shown(self) -> list[Shown]:
        return shown(self.home, self.answers)


Homes = Callable[[str], Before]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    """A home of each application, made when first asked for."""
    return cache(lambda name: Before.of(tmp_path_factory.mktemp(name), name))


def shown(home: EditedHome, answers: list[Prediction]) -> list[Shown]:
    """What a reply says, values by name."""
    document = AnswerDocument(home.runtime.app.task.about, home.runtime.value_names)
    return [
        (
            answer.level,
            answer.version,
            answer.decision,
            answer.items,
            answer.scores,
            document.of(answer, {}).get("values", {}),
        )
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


def test_the_interval_that_is_edited_was_moved_by_outcomes(homes: Homes) -> None:
    stamps = [answer.interval for answer in homes("deliveries").answers]
    assert all(stamp is not None and stamp.margin > 0 for stamp in stamps)


@pytest.mark.parametrize("edit", ALL, ids=[f"{index}-{edit.key}" for index, edit in enumerate(ALL)])
def test_an_edit_does_what_its_entry_says(homes: Homes, tmp_path: Path, edit: Edit) -> None:
    before = homes(edit.home)
    if edit.outcome == "refused":
        check_refused(before, tmp_path, edit.text, [edit])
    else:
        check_served(before, tmp_path, edit.text, [edit])


@pytest.mark.parametrize("home", sorted({edit.home for edit in ALL}))
def test_two_edits_do_what_each_of_them_does(homes: Homes, tmp_path: Path, home: str) -> None:
    before = homes(home)
    for number, (pair, text) in enumerate(pairs_of(home, random.Random(home), 8)):
        folder = tmp_path / str(number)
        folder.mkdir()
        check_pair(before, folder, text, pair)


def pairs_of(home: str, rng: random.Random, count: int) -> Iterator[tuple[list[Edit], str]]:
    """Pairs of edits of different keys of a home, drawn at random, and the file with both."""
    edits = [edit for edit in (*ALL, *RULES) if edit.home == home]
    pairs = [[first, second] for first, second in combinations(edits, 2) if first.key != second.key]
    rng.shuffle(pairs)
    texts = ((pair, together(pair)) for pair in pairs)
    return islice(((pair, text) for pair, text in texts if text is not None), count)


def check_pair(before: Before, folder: Path, text: str, pair: list[Edit]) -> None:
    """The stronger of what the two do happens, and `check` says what it says of each."""
    refused = [edit for edit in pair if edit.outcome == "refused"]
    try:
        if refused:
            check_refused(before, folder, text, refused)
        else:
            check_served(before, folder, text, pair)
    except AssertionError as error:
        raise AssertionError(f"{[(edit.key, edit.case, edit.outcome) for edit in pair]}: {error}") from error


@pytest.mark.parametrize("owner", sorted({edit.key.split(".")[0] for edit in RULES}))
def test_rules_of_learning_and_releases_change_no_answer(homes: Homes, tmp_path: Path, owner: str) -> None:
    edits = [edit for edit in RULES if edit.key.startswith(f"{owner}.")]
    (name,) = {edit.home for edit in edits}
    before = homes(name)
    copied = before.home.copy(tmp_path, before.home.text)
    for edit in edits:
        edited = copied.reopened(edit.text)
        assert (outages(edited.runtime), learned_otherwise(edited.runtime)) == ([], []), edit.key
        edited.declare()
        assert shown(edited, edited.answers(REQUESTS[name]()[:1])) == before.shown[:1], edit.key
        assert replay(edited.runtime, before.answers[0].id).identical, edit.key


RAW = re.compile(r"\[[\"\[{]|\{\"|_us\b|\d{8,}|\b[0-9a-f]{16}\b|\bnull\b")
"""What no message may show: JSON, microseconds, hashes."""


CODE = re.compile(r"code of [^:;]*[:;]|\S+\.py\b")


def check_words(message: str) -> None:
    """The message is in the words of the declaration; a model's code, which is long, may be named by its digests."""
    raw = RAW.search(CODE.sub("", message))
    assert raw is None, f"{raw}: {message}"


def check_refused(before: Before, folder: Path, text: str, edits: Sequence[Edit]) -> None:
    """`check` says why before anything else happens, of one of the edits, and no answer of before is called another."""
    edited = opened(before.home, folder, text)
    if isinstance(edited, FlyballError):
        assert any(edit.says in str(edited) for edit in edits), edited
        return
    (outage,) = outages(edited.runtime)
    assert outage.role == "champion"
    assert any(edit.says in outage.reason for edit in edits), outage.reason
    check_words(outage.reason)
    check_words(named_by_check(edited.runtime))
    after = edited.answers(REQUESTS[edits[0].home]())
    if all("of the arrangement must" in edit.says for edit in edits):  # the arrangement of before is still in service
        assert shown(edited, after) == before.shown
        assert replay(edited.runtime, before.answers[0].id).identical
        return
    assert {answer.level for answer in after} <= {"empty", "default", "popular"}
    again = replay(edited.runtime, before.answers[0].id)
    assert not again.replayable, again.text()
    assert any(edit.says in again.text() for edit in edits)


def opened(home: EditedHome, folder: Path, text: str) -> EditedHome | FlyballError:
    """The home under the edited file, or why it cannot be opened."""
    try:
        return home.copy(folder, text)
    except FlyballError as error:
        return error


def named_by_check(runtime: Runtime) -> str:
    renewed = identity_changes_in(runtime.app, runtime.settings)
    return "\n".join(change.text() for change in (*learned_otherwise(runtime), *renewed))


def check_served(before: Before, folder: Path, text: str, edits: Sequence[Edit]) -> None:
    """The version goes on, `check` names what it learned otherwise, and every answer replays."""
    edited, requests = before.home.copy(folder, text), REQUESTS[edits[0].home]()
    outcomes, says = {edit.outcome for edit in edits}, [edit.says for edit in edits]
    assert outages(edited.runtime) == []
    named = named_by_check(edited.runtime)
    assert all(part in named for part in says), named
    assert bool(named) == any(says), named
    check_words(named)
    undeclared = edited.answers(requests)
    edited.declare()
    after = edited.answers(requests)
    assert {(answer.level, answer.version) for answer in after} == {("champion", before.answers[0].version)}
    revisions = [answers[0].arrangement for answers in (before.answers, undeclared, after)]
    assert revisions == ([1, 1, 2] if "arrangement" in outcomes else [1, 1, 1])
    if "at once" not in outcomes:
        assert shown(edited, undeclared) == before.shown
    if outcomes <= {"same", "next version"}:
        assert shown(edited, after) == before.shown
    for answer in (before.answers[0], before.answers[-1], undeclared[0], after[0]):
        again = replay(edited.runtime, answer.id)
        assert again.identical, again.text()
    if outcomes <= {"arrangement", "same", "next version"} and "arrangement" in outcomes:
        rollback_arrangement(edited.runtime.registry, "back", "ann", edited.clock.now_us())
        assert current(edited.runtime.registry).arrangement == 1
        assert shown(edited, edited.answers(requests)) == before.shown
