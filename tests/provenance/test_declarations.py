"""A changed declaration changes no answer of before: neither its replay, nor what a version in service answers."""

from pathlib import Path

import pytest

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.operations import Worker, consumers_of
from flyball.outcomes import Prediction
from flyball.provenance import audit, replay
from flyball.releases import current, declare_arrangement, rollback, rollback_arrangement
from flyball.runtime import Runtime, load_settings
from flyball.serving import answer_once

from .conftest import APP, FEATURES, START_US, Cinema, Theatre, opened

DIVERSE = APP.replace("k=8,", 'k=8, max_per=("half", 4),')
OTHER_OUTCOMES = {
    "weak_positive": APP.replace("weak_positive=fb.outcome(Watch", "weak_positive=fb.outcome(Watch, at_least=3"),
    "positive": APP.replace("lambda w: w.minute >= 30", "lambda w: w.minute >= 50"),
    "one more": APP.replace(
        "weak_positive=", "negative=fb.outcome(Rate, where=lambda r: r.stars <= 2),\n        weak_positive="
    ),
}


def reopen(cinema: Cinema, text: str, name: str) -> None:
    """The same home, its application's file edited, its consumers caught up."""
    runtime = cinema.runtime
    file = runtime.home.parent / f"{name}.py"
    file.write_text(text)
    runtime.state.close()
    cinema.runtime = Runtime(load_app(str(file)), load_settings(runtime.home), cinema.clock)
    cinema.worker = Worker(consumers_of(cinema.runtime))
    for _ in range(3):
        cinema.follow()


def declare(cinema: Cinema) -> None:
    runtime = cinema.runtime
    declare_arrangement(
        runtime.registry, runtime.app.name, runtime.app.task.about.arrangement, "up", cinema.clock.now_us()
    )


def of_one_half(answer: Prediction) -> int:
    """How many of the items belong to the half that has most."""
    odd = sum(int(item[1:]) % 2 for item in answer.items)
    return max(odd, len(answer.items) - odd)


@pytest.mark.parametrize("edited", OTHER_OUTCOMES)
def test_other_outcomes_change_no_answer_of_before_nor_of_the_version_in_service(learned: Cinema, edited: str) -> None:
    learned.champion("item_knn")
    before = [answer_once(learned.runtime, str(user)) for user in (1, 2, 3)]
    reopen(learned, OTHER_OUTCOMES[edited], "edited")
    assert current(learned.runtime.registry).champion == before[0].version
    after = [answer_once(learned.runtime, str(user)) for user in (1, 2, 3)]
    assert [one.level for one in (*before, *after)] == ["champion"] * 6
    for old, new in zip(before, after, strict=True):
        assert (old.items, old.scores, old.offsets) == (new.items, new.scores, new.offsets)
        for answer in (old, new):
            again = replay(learned.runtime, answer.id)
            assert again.identical, again.text()


def test_another_rule_is_a_revision_that_old_answers_and_rollback_go_by(learned: Cinema) -> None:
    learned.champion("ials")
    declare(learned)
    before = answer_once(learned.runtime, "1")
    assert before.arrangement == 1
    assert of_one_half(before) > 4, "a user of one half is shown that half"
    reopen(learned, DIVERSE, "max_per")
    unchanged = answer_once(learned.runtime, "1")
    assert (unchanged.items, unchanged.arrangement) == (before.items, 1), "what is not released does not serve"
    declare(learned)
    diverse = answer_once(learned.runtime, "1")
    assert (of_one_half(diverse), diverse.arrangement) == (4, 2)
    for answer in (before, unchanged, diverse):
        again = replay(learned.runtime, answer.id)
        assert again.identical, again.text()
    rollback_arrangement(learned.runtime.registry, "back", "ann", learned.clock.now_us())
    back = answer_once(learned.runtime, "1")
    assert (back.items, back.scores, back.arrangement) == (before.items, before.scores, 1)


def test_a_version_rolled_back_to_answers_by_its_old_rule(learned: Cinema) -> None:
    learned.champion("ials")
    declare(learned)
    before = answer_once(learned.runtime, "1")
    reopen(learned, DIVERSE, "later")
    learned.champion("popular")
    declare(learned)
    assert of_one_half(answer_once(learned.runtime, "1")) == 4
    rollback(learned.runtime.registry, "worse", "ben", learned.clock.now_us(), artifacts=learned.runtime.artifacts)
    after = answer_once(learned.runtime, "1")
    assert (after.version, after.items, after.arrangement) == (before.version, before.items, 1)


def test_one_more_feature_leaves_old_answers_identical_and_audited(theatre_home: Path, tmp_path: Path) -> None:
    (tmp_path / "then").mkdir()
    theatre = opened(theatre_home, tmp_path / "then")
    version = theatre.champion("ranker")
    assert version.features, "a version keeps what it reads"
    asks = [answer_once(theatre.runtime, str(user)) for user in (1, 2)]
    assert all(answer.reads for answer in asks)
    theatre.runtime.state.close()
    theatre.runtime.feature_state.close()
    more = FEATURES.replace("views=", 'plays=fb.count(Watch, "1d"), views=')
    (tmp_path / "now").mkdir()
    later: Theatre = opened(tmp_path / "then", tmp_path / "now", more)
    assert "film.plays" in later.runtime.app.task.about.feature_hashes
    for answer in asks:
        again = replay(later.runtime, answer.id)
        assert again.identical, again.text()
    report = audit(later.runtime, START_US)
    assert (report.audited, report.wrong, report.skipped) == (2, 0, {}), report


def test_an_event_type_that_is_gone_refuses_the_version_by_name(learned: Cinema) -> None:
    learned.champion("item_knn")
    answer = answer_once(learned.runtime, "1")
    start, end = APP.index("class Rate"), APP.index("class Card")
    text = APP[:start] + APP[end:]
    text = text.replace('            fb.outcome(Rate, where=lambda r: r.stars >= 4, within="1d"),\n', "")
    text = text.replace("        rating=fb.value(Rate, lambda r: r.stars),\n", "").replace("[Watch, Rate]", "[Watch]")
    clock = ManualClock(learned.clock.now_us())
    file = learned.runtime.home.parent / "gone.py"
    file.write_text(text)
    runtime = Runtime(load_app(str(file)), load_settings(learned.runtime.home), clock)
    again = replay(runtime, answer.id)
    assert not again.replayable
    assert "event type Rate must be declared" in " ".join(again.notes)
