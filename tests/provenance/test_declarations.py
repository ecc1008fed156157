"""A changed declaration changes no answer of before: neither its replay, nor what a version in service answers."""

import random
from pathlib import Path

import msgspec
import pytest

from flyball.app import load_app
from flyball.core import ManualClock, SystemStopwatch, new_id
from flyball.operations import Worker, consumers_of
from flyball.outcomes import Prediction, prediction_record
from flyball.provenance import audit, replay, why
from flyball.registry import add_arrangement
from flyball.releases import current, declare_arrangement, release_arrangement, rollback, rollback_arrangement
from flyball.runtime import Runtime, load_settings
from flyball.serving import Refresher, Serving, answer_once
from flyball.serving.metrics import ServingMetrics

from .conftest import APP, FEATURES, START_US, Cinema, Theatre, opened

DIVERSE = APP.replace("k=8,", 'k=8, max_per=("half", 4),')
NOW = 'side: Annotated[str, fb.renamed("half")] = ""'
RENAMED = DIVERSE.replace('("half"', '("side"').replace('half: str = ""', NOW)
GONE = APP.replace('    half: str = ""\n', "")
MINUTE = "minute: Annotated[int, fb.integer(0, 500)]"
SPENT = 'spent: Annotated[int, fb.integer(0, 500), fb.renamed("minute")]'
WHO = 'who: Annotated[int, fb.Ref("user"), fb.renamed("user")]'
WHAT = 'what: Annotated[str, fb.Ref("film"), fb.renamed("film")]'
WATCH = f"class Watch(fb.Event):\n    user: User\n    film: Film\n    {MINUTE}\n"
OF_CLASS = [("Watch(", "View("), ("Watch,", "View,")]
RENAMES = {  # {edit: (of the text, to)}
    "field": [(MINUTE, SPENT), ("w.minute", "w.spent")],
    "order": [(WATCH, f"class Watch(fb.Event):\n    {MINUTE}\n    user: User\n    film: Film\n")],
    "key": [(WATCH, WATCH.replace("user: User", WHO))],
    "item": [(WATCH, WATCH.replace("film: Film", WHAT))],
    "class": [(WATCH, WATCH + '    former_names = ("Watch",)\n'), *OF_CLASS],
    "attribute": [('half: str = ""', NOW)],
    "all": [
        (WATCH, f'class Watch(fb.Event):\n    former_names = ("Watch",)\n    {SPENT}\n    {WHO}\n    {WHAT}\n'),
        ("w.minute", "w.spent"),
        ('half: str = ""', NOW),
        *OF_CLASS,
    ],
}
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


def refresher_of(cinema: Cinema) -> Refresher:
    metrics = ServingMetrics(cinema.runtime.counters_folder / "test", "test", SystemStopwatch())
    return Refresher(cinema.runtime, metrics, cinema.clock)


def service(cinema: Cinema) -> Serving:
    """What a serving process holds now, arrangement and all."""
    refresher = refresher_of(cinema)
    refresher.step()
    return refresher.engine.serving


def engine_answer(refresher: Refresher, cinema: Cinema) -> Prediction:
    answer = refresher.engine.answer([cinema.request(1)])[0]
    cinema.runtime.predictions.append([prediction_record(answer)])
    return answer


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


@pytest.mark.parametrize("edited", RENAMES)
def test_renamed_and_reordered_fields_change_no_answer_and_no_event(learned: Cinema, edited: str) -> None:
    """What is read under other names is the same: old answers, those of the version in service, the events."""
    learned.champion("ials")
    before = [answer_once(learned.runtime, str(user)) for user in (1, 2)]
    stored = [record for piece in learned.runtime.log.read((0,) * 4, 100) for record in piece.records]
    text = APP
    for old, new in RENAMES[edited]:
        assert old in text
        text = text.replace(old, new)
    reopen(learned, text, "renamed")
    after = [answer_once(learned.runtime, str(user)) for user in (1, 2)]
    for old_answer, new_answer in zip(before, after, strict=True):
        assert (new_answer.items, new_answer.scores) == (old_answer.items, old_answer.scores)
        assert (new_answer.version, new_answer.level) == (old_answer.version, "champion")
        for answer in (old_answer, new_answer):
            again = replay(learned.runtime, answer.id)
            assert again.identical, again.text()
    schema, ends = learned.runtime.schema, learned.runtime.log.ends()
    again_sent = []
    for piece in learned.runtime.log.read((0,) * len(ends), 100):
        for record in piece.records:
            event = schema.decode(record)
            fields = {name: getattr(event, name) for name in event.__struct_fields__ if name != "at"}
            again_sent.append(schema.check(record.type, fields, record.at, record.known_at))
    assert {record.id for record in again_sent} == {record.id for record in stored}
    assert learned.runtime.log.append(again_sent).written == 0


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


def test_a_rule_of_an_attribute_that_was_renamed_is_followed(learned: Cinema) -> None:
    """In serving, in replay and for requests that named it in a filter."""
    learned.champion("ials")
    reopen(learned, DIVERSE, "max_per")
    declare(learned)
    before = answer_once(learned.runtime, "1")
    filtered = learned.answer(ask=learned.request(1, include={"half": ["1"]}), serving=service(learned))[0]
    assert (of_one_half(before), of_one_half(filtered), filtered.arrangement) == (4, 8, 2)
    reopen(learned, RENAMED, "renamed")
    after = answer_once(learned.runtime, "1")
    assert (after.items, after.scores, after.level, after.arrangement) == (before.items, before.scores, "champion", 2)
    for answer in (before, filtered, after):
        again = replay(learned.runtime, answer.id)
        assert again.identical, again.text()
        explained = why(learned.runtime, answer.id)
        assert [item.item for item in explained.items] == answer.items
        assert any(item.because for item in explained.items)
        assert explained.notes == []


def test_an_answer_by_a_rule_of_an_attribute_that_is_gone_is_explained_as_far_as_it_is_on_record(
    learned: Cinema,
) -> None:
    """The version itself is refused too, as it learned with a catalog that had the attribute."""
    learned.champion("ials")
    reopen(learned, DIVERSE, "max_per")
    declare(learned)
    answer = answer_once(learned.runtime, "1")
    reopen(learned, GONE, "gone")
    explained = why(learned.runtime, answer.id)
    assert [(item.item, item.score) for item in explained.items] == list(zip(answer.items, answer.scores, strict=True))
    assert (explained.version and explained.version.id, explained.prediction.arrangement) == (answer.version, 2)
    assert "must have half, as when the version was learned" in " ".join(explained.notes)
    assert all(item in explained.text() for item in answer.items)
    again = replay(learned.runtime, answer.id)
    assert (again.replayable, "must have half" in again.text()) == (False, True)


def test_an_answer_by_a_rule_that_cannot_be_read_is_explained_as_far_as_it_is_on_record(learned: Cinema) -> None:
    learned.champion("ials")
    declare(learned)
    rule, now_us = {"max_per": ["color", 2]}, learned.clock.now_us()
    unknown = add_arrangement(learned.runtime.registry, "cinema", rule, "ann", "try", now_us)
    made = learned.answer(1)[0]
    answer = msgspec.structs.replace(made, id=new_id(now_us, random.Random(1)), arrangement=unknown.revision)
    learned.runtime.predictions.append([prediction_record(answer)])
    explained = why(learned.runtime, answer.id)
    assert [item.item for item in explained.items] == made.items
    assert "the version cannot be loaded: max_per of the arrangement must name" in " ".join(explained.notes)
    again = replay(learned.runtime, answer.id)
    assert (again.replayable, "which is no longer declared" in again.text()) == (False, True)


def test_an_arrangement_that_cannot_be_opened_takes_the_version_out_and_is_stamped_on_no_answer(
    learned: Cinema,
) -> None:
    """Released by a process that knew the attribute, met by one that does not: under way and at the start."""
    learned.champion("ials")
    declare(learned)
    refresher = refresher_of(learned)
    refresher.step()
    assert engine_answer(refresher, learned).arrangement == 1
    unknown = add_arrangement(
        learned.runtime.registry, "cinema", {"max_per": ["color", 2]}, "ann", "try", learned.clock.now_us()
    )
    release_arrangement(learned.runtime.registry, f"a{unknown.revision}", "try", "ann", learned.clock.now_us())
    for one in (refresher, refresher_of(learned)):
        one.step()
        assert (one.engine.serving.pipelines, sorted(one.engine.serving.refused)) == ({}, ["v2", "v3"])
        assert "got 'color', which is no longer declared" in one.reasons()[0]
        answer = engine_answer(one, learned)
        assert (answer.level, answer.version, answer.arrangement) == ("popular", "", 0)
        again = replay(learned.runtime, answer.id)
        assert again.identical, again.text()
    rollback_arrangement(learned.runtime.registry, "back", "ann", learned.clock.now_us())
    refresher.step()
    back = engine_answer(refresher, learned)
    assert (back.level, back.arrangement) == ("champion", 1)


def test_what_a_version_had_computed_is_stamped_with_the_rule_it_was_computed_by(learned: Cinema) -> None:
    learned.champion("ials")
    declare(learned)
    refresher = refresher_of(learned)
    refresher.step()
    plain = refresher.engine.from_fallback(learned.request(1))
    learned.runtime.predictions.append([prediction_record(plain)])
    reopen(learned, DIVERSE, "max_per")
    declare(learned)
    later = refresher_of(learned)
    later.step()
    diverse = later.engine.from_fallback(learned.request(1))
    learned.runtime.predictions.append([prediction_record(diverse)])
    assert [(one.level, one.arrangement) for one in (plain, diverse)] == [("precomputed", 1), ("precomputed", 2)]
    assert (of_one_half(plain) > 4, of_one_half(diverse)) == (True, 4)
    for answer in (plain, diverse):
        again = replay(learned.runtime, answer.id)
        assert again.identical, again.text()


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
