"""What a declaration is refused for, and what the refusal says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

import flyball as fb
from flyball.app import load_app
from flyball.core import BadDeclaration, NotFound
from flyball.events import Schema

User = Annotated[int, fb.Ref("user")]
Film = Annotated[str, fb.Ref("film")]


class Watch(fb.Event):
    user: User
    film: Film
    minute: Annotated[int, fb.integer(0, 500)] = 0
    device: str | None = None


def declare(**other: Any) -> fb.App:
    task = fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch))
    given: dict[str, Any] = {"events": [Watch], "task": task, "candidates": {"popular": fb.Popular()}, **other}
    return fb.App(given.pop("name", "cinema"), **given)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"name": 5}, "App name must be text, got 5"),
        ({"events": Watch}, "events of App 'cinema' must be a list of event types"),
        ({"task": fb.Recommend}, r"task of App 'cinema' must be made by fb.Recommend"),
        ({"candidates": {3: fb.Popular()}}, "candidate name in App 'cinema' must be lower-case .*, got 3"),
        ({"choose": fb.best("rmse")}, "metric must be one of ndcg@k, .*, got 'rmse'"),
        ({"task": "recommend"}, r"task of App 'cinema' must be made by fb.Recommend"),
        ({"candidates": [fb.Popular()]}, "candidates of App 'cinema' must be models by name"),
        ({"formats": [3]}, "formats of App 'cinema' must be formats by name"),
        ({"formats": {"till": 3}}, "format 'till' of App 'cinema' must be an object with parser and lines, got 3"),
        ({"choose": "ndcg@20"}, "choose of App 'cinema' must be made by fb.best or .*, got 'ndcg@20'"),
        (
            {"release": "swap"},
            r"release of App 'cinema' must be made by fb.canary, fb.immediate or their like.*, got 'swap'",
        ),
        ({"gates": 20}, r"gates of App 'cinema' must be made by fb.gates\(...\), got 20"),
        ({"retrain": fb.every("1d")}, "retrain of App 'cinema' must be a list"),
        ({"retrain": "1d"}, "retrain of App 'cinema' must be a list, .*, got '1d'"),
        ({"retrain": ["1d"]}, "retrain of App 'cinema' must be made by fb.every, fb.cron or .*, got '1d'"),
    ],
)
def test_an_argument_of_another_kind_is_named_with_what_it_must_be(other: dict[str, Any], message: str) -> None:
    assert declare().name == "cinema"
    with pytest.raises(BadDeclaration, match=message):
        declare(**other)


def test_a_field_is_compared_with_its_own_kind() -> None:
    for right in (lambda w: w.minute >= 30, lambda w: (w.device > "a") & (w.minute / 2 < 9.5)):
        fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, where=right))
    for wrong, message in (
        (lambda w: (w.minute > 1) & (w.minute >= "30"), "positive of Recommend compares minute with must be a number"),
        (lambda w: w.device < 3, "compares device with must be text, got 3"),
    ):
        with pytest.raises(BadDeclaration, match=message):
            fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, where=wrong))


def test_a_default_must_fit_its_field_and_at_is_no_field() -> None:
    class Low(fb.Event):
        user: User
        minute: Annotated[int, fb.integer(0, 500)] = -5

    class Timed(fb.Event):
        user: User
        at: int

    with pytest.raises(BadDeclaration, match=r"default of Low.minute must be an integer >= 0, got -5"):
        Schema([Low])
    with pytest.raises(BadDeclaration, match=r"Timed.at must be left out: every event has it"):
        Schema([Timed])


def test_a_rating_is_a_number() -> None:
    for right in (lambda w: w.minute / 100, lambda w: w.device == "tv"):
        rated(right)
    for wrong in (lambda w: w.device, lambda w: w.device + w.minute):
        with pytest.raises(BadDeclaration, match="rating of Recommend must be a number, got text: device"):
            rated(wrong)


def rated(number: Callable[[Any], Any]) -> fb.Recommend:
    """A task with a rating."""
    watched = fb.outcome(Watch)
    return fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=watched, rating=fb.value(Watch, number))


def test_the_metrics_to_choose_by_are_those_of_the_reports() -> None:
    task = rated(lambda w: w.minute)
    plan = task.offline().plan()
    for metric in plan.reported:
        assert declare(task=task, choose=fb.best(metric)).choose.metric == metric
    for wrong in ("ndgc@20", "ndcg", "rmse@3", "ndcg@0", "ndcg@2.5", "click:ndcg@5"):
        with pytest.raises(
            BadDeclaration, match=r"metric must be one of ndcg@k, recall@k, .*rmse|k of metric"
        ) as message:
            declare(task=task, choose=fb.best(wrong))
        assert wrong in str(message.value)
    with pytest.raises(BadDeclaration, match=r"metric must be one of ndcg@k, .*, got 'coverge@5'"):
        declare(gates=fb.gates(at_least={"coverge@5": 0.1}))


class Viewer(fb.Profile):
    user: Annotated[int, fb.Ref("user")]
    gender: str | None = None


def test_a_slice_that_no_report_has_is_refused_with_those_there_are() -> None:
    task = rated(lambda w: w.minute)
    grouped = msgspec.structs.replace(task, user=fb.Entity("user", Viewer, group=lambda viewer: viewer.gender))
    for length in ("0", "1-4", "5-19", "20+"):
        metric = f"ndcg@10/history_length={length}"
        assert declare(task=task, choose=fb.best(metric)).choose.metric == metric
    assert declare(task=grouped, choose=fb.best("ndcg@10/group=F")).choose.metric == "ndcg@10/group=F"
    must = r"slice of metric \S+ must be one of history_length=0\|1-4\|5-19\|20\+, got '"
    for wrong in ("new", "history_length", "history_length=7", "group=F"):
        with pytest.raises(BadDeclaration, match=f"{must}{re.escape(wrong)}'"):
            declare(task=task, choose=fb.best(f"ndcg@10/{wrong}"))
        with pytest.raises(BadDeclaration, match=must):
            declare(task=task, gates=fb.gates(at_least={f"recall@5/{wrong}": 0.1}))
    with pytest.raises(BadDeclaration, match=r"must be a metric that is reported by slice: .*, got 'coverage'"):
        declare(task=task, choose=fb.best("coverage@10/history_length=0"))


def test_a_format_that_cannot_read_the_events_is_refused_with_the_application() -> None:
    with pytest.raises(BadDeclaration, match=r"rename of fb\.columns must be about one of at, .*, got 'movie'"):
        declare(formats=fb.columns(rename={"film_name": "movie"}))


MADE = """
from typing import Annotated

import flyball as fb


class View(fb.Event):
    user: Annotated[int, fb.Ref("user")]


class Buy(fb.Event):
    user: Annotated[int, fb.Ref("user")]


def make_app(days: int = 3) -> fb.App:
    target = fb.occurs(Buy, by="user", within=f"{days}d")
    return fb.App(
        "made", events=[View, Buy], task=fb.Predict(on=View, target=target), candidates={"c": fb.Constant()}
    )
"""


def test_an_attribute_of_a_file_is_named_by_its_module() -> None:
    with pytest.raises(NotFound, match=r"no application 'shop.py:other'; name the file alone, shop.py, .* shop:other"):
        load_app("shop.py:other")


def test_a_file_with_make_app_alone_is_an_application_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text(MADE)
    assert load_app(str(path)).task.within_us == 3 * 86_400_000_000  # type: ignore[attr-defined]
    assert load_app(str(path), {"days": 5}).task.within_us == 5 * 86_400_000_000  # type: ignore[attr-defined]


def test_a_setting_that_the_application_does_not_take_is_answered_with_those_it_does(tmp_path: Path) -> None:
    path = tmp_path / "made_too.py"
    path.write_text(MADE)
    with pytest.raises(BadDeclaration, match=r"arguments of its make_app \(days\), got .*'weeks'"):
        load_app(str(path), {"weeks": 5})
