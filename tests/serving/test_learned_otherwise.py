"""An edited target leaves the version answering by what it learned, and check says so."""

from pathlib import Path

import pytest
from tests.tasks.predict.edited import APP, EditedHome, lines, requests

from flyball.serving import LearnedOtherwise, learned_otherwise, outages

TARGET = 'fb.occurs(Chargeback, by="payment", within="5d", where=lambda c: c.lost >= 0)'
EDITS = {
    "within": ('within="5d", where', 'within="9d", where', ("target.within 5d, now 9d",)),
    "where": ("c.lost >= 0", "c.lost >= 5", ("target.where lost >= 0, now lost >= 5",)),
    "event": (
        TARGET,
        'fb.occurs(Refund, by="payment", within="5d")',
        ("target.event Chargeback, now Refund", "target.where lost >= 0, now nothing"),
    ),
    "censored_by": (
        "lost >= 0)",
        "lost >= 0, censored_by=(Refund,))",
        ("target.censored_by nothing, now Refund",),
    ),
    "decide": ("review=6.0", "review=7.0", ()),
    "gates": ("min_examples=20", "min_examples=21", ()),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> EditedHome:
    return EditedHome.learned(tmp_path_factory.mktemp("learned"), APP, lines())


def test_nothing_differs_in_the_same_file(home: EditedHome) -> None:
    assert learned_otherwise(home.runtime) == []


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_key_is_named_and_changes_no_value(home: EditedHome, tmp_path: Path, name: str) -> None:
    old, new, changes = EDITS[name]
    assert APP.count(old) == 1
    edited = home.copy(tmp_path, APP.replace(old, new))
    assert outages(edited.runtime) == []
    named = learned_otherwise(edited.runtime)
    assert named == ([LearnedOtherwise("v1", "champion", changes)] if changes else [])
    before, after = home.answers(requests()), edited.answers(requests())
    assert [answer.values for answer in after] == [answer.values for answer in before]


def test_another_kind_of_target_is_refused_instead(home: EditedHome, tmp_path: Path) -> None:
    text = APP.replace(TARGET, 'fb.elapsed(Chargeback, by="payment", within="5d")')
    edited = home.copy(tmp_path, text[: text.index("        decide=")] + text[text.index("    candidates=") - 7 :])
    (outage,) = outages(edited.runtime)
    assert "must predict" in outage.reason
