"""A task's declaration checks itself and names the field that is wrong."""

import re
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest

import flyball as fb
from flyball.core import BadDeclaration, BadInput, Refused
from flyball.policy import AnyOf
from flyball.tasks import check_plan, request_of, request_type
from flyball.tasks.recommend.about import arranged
from flyball.tasks.recommend.request import fields_of


def test_it_lists_what_it_reads(films: SimpleNamespace) -> None:
    task = films.task()
    assert task.entities == (films.user, films.film)
    assert task.event_types == (films.Rate, films.Watch, films.Joined)
    assert task.deadline_us == 300_000
    assert sorted(task.signals(films.schema).plans) == ["rate", "watch"]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("positive", None),
        ("positive", "stars"),
        ("positive", AnyOf(())),
        ("weak_positive", 3),
        ("negative", lambda r: r.stars),
        ("rating", 5),
        ("k", 0),
        ("k", 1_001),
        ("k", True),
        ("k", 2.0),
        ("cold_start_slots", -1),
        ("cold_start_slots", 21),
        ("influence_cap", 0),
        ("influence_cap", None),
        ("deadline", "soon"),
        ("deadline", "10us"),
        ("deadline", 300),
        ("randomized_share", -0.01),
        ("randomized_share", 0.6),
        ("randomized_share", "1%"),
        ("popularity_penalty", -0.1),
        ("popularity_penalty", True),
        ("propensity_cap", -1),
        ("max_per", "genres"),
        ("max_per", ("genres", 0)),
        ("max_per", ("color", 2)),
        ("max_per", ("at", 2)),
        ("context", "country"),
        ("context", int),
        ("context", fb.Event),
    ],
)
def test_a_wrong_field_is_named(films: SimpleNamespace, field: str, wrong: Any) -> None:
    with pytest.raises(BadDeclaration, match=rf"{field} of Recommend must be "):
        films.task(**{field: wrong})


def test_events_must_name_both_and_have_the_fields(films: SimpleNamespace) -> None:
    with pytest.raises(
        BadDeclaration, match="positive of Recommend .* refer to film and user, got Joined, which does not"
    ):
        films.task(positive=fb.outcome(films.Joined))
    with pytest.raises(BadDeclaration, match="weak_positive of Recommend .* fields of Watch"):
        films.task(weak_positive=fb.outcome(films.Watch, where=lambda w: w.minutes > 3))
    with pytest.raises(BadDeclaration, match="rating of Recommend .* fields of Rate"):
        films.task(rating=fb.value(films.Rate, lambda r: r.points))
    with pytest.raises(BadDeclaration, match="item of Recommend"):
        fb.Recommend(films.user, films.user, films.liked)
    with pytest.raises(BadDeclaration, match="user of Recommend must be an fb.Entity"):
        fb.Recommend("user", films.film, films.liked)


def test_about_says_what_other_rooms_may_know(films: SimpleNamespace) -> None:
    about = films.task(k=5, max_per=("genres", 2), weak_positive=fb.outcome(films.Watch, within="1h")).about
    assert (about.kind, about.items, about.k, about.deadline_us) == ("recommend", "film", 5, 300_000)
    assert about.entities == (films.user, films.film)
    assert about.event_types == (films.Rate, films.Watch, films.Joined)
    assert about.arrangement == {"max_per": ["genres", 2], "cold_start_slots": 1}
    assert not {"max_per", "cold_start_slots", "k"} & about.declaration.keys()
    labels = [(label.name, label.event, label.by, label.within_us) for label in about.labels]
    assert ("weak_positive", films.Watch, ("user", "film"), 3_600_000_000) in labels
    assert {name for name, *_ in labels} == {"positive", "weak_positive", "negative", "rating", "adopted"}


def test_a_declaration_survives_json_and_restores_the_task_of_then(films: SimpleNamespace) -> None:
    then = films.task(
        positive=fb.any_of(
            fb.outcome(films.Rate, where=lambda r: (r.stars >= 4) & ~(r.stars == 4.5), within="7d"),
            fb.outcome(films.Watch, at_least=30),
        ),
        negative=fb.outcome(films.Rate, where=lambda r: r.stars / 2 < 1),
        rating=fb.value(films.Rate, lambda r: r.stars),
        max_per=("genres", 2),
    )
    kept = msgspec.json.decode(msgspec.json.encode(then.about.declaration))
    now = films.task(positive=fb.outcome(films.Watch), k=7, max_per=None, cold_start_slots=0)
    restored = now.restore(kept)
    assert restored.about.declaration == then.about.declaration
    assert (restored.positive, restored.negative, restored.rating) == (then.positive, then.negative, then.rating)
    assert (restored.k, restored.max_per, restored.cold_start_slots) == (7, None, 0)
    both = now.restore({**kept, **msgspec.json.decode(msgspec.json.encode(then.about.arrangement))})
    assert (both.max_per, both.cold_start_slots) == (("genres", 2), 1)


def test_a_declaration_of_events_that_are_gone_is_refused_by_name(films: SimpleNamespace) -> None:
    user, film = fb.Entity("user"), fb.Entity("film")
    now = fb.Recommend(user, film, positive=fb.outcome(films.Watch))
    kept = fb.Recommend(user, film, positive=fb.outcome(films.Rate)).about.declaration
    with pytest.raises(Refused, match="event type Rate must be declared, since the version was learned from it"):
        now.restore(kept)
    assert now.restore(kept, [films.Rate]).about.declaration == kept
    with pytest.raises(Refused, match="item of the task must be 'book', as when the version was learned"):
        now.restore({**kept, "item": "book"})


class Viewer(fb.Profile):
    user: Annotated[int, fb.Ref("user")]
    age: int = 0


class Member(fb.Profile):
    user: Annotated[int, fb.Ref("user")]
    age: int = 0


class Card(fb.Profile):
    film: Annotated[str, fb.Ref("film")]
    genre: str = ""


class InWords(fb.Profile):
    film: Annotated[str, fb.Ref("film")]
    kind: str = ""


class Longer(fb.Profile):
    film: Annotated[str, fb.Ref("film")]
    genre: str = ""
    year: int = 0


class Renamed(fb.Profile):
    film: Annotated[str, fb.Ref("film")]
    style: Annotated[str, fb.renamed("genre")] = ""


class Seen(fb.Event):
    user: Annotated[int, fb.Ref("user")]
    film: Annotated[str, fb.Ref("film")]


class Film(fb.Profile):
    former_names = ("Card",)
    film: Annotated[str, fb.Ref("film")]
    genre: str = ""


OLD = {"from": 40}
Longer.__name__ = Renamed.__name__ = "Card"


def _task_of(user: fb.Entity, film: fb.Entity) -> fb.Recommend:
    return fb.Recommend(user, film, positive=fb.outcome(Seen))


def _old(viewer: Any) -> str:
    return "old" if viewer.age >= OLD["from"] else "young"


USER, FILM = fb.Entity("user", Viewer, group=_old), fb.Entity("film", Card)


@pytest.mark.parametrize(
    ("user", "film", "reported"),
    [
        (fb.Entity("user", Viewer, group=lambda v: "old" if v.age >= 30 else "young"), FILM, "group= of entity 'user'"),
        (fb.Entity("user", Viewer, group=lambda v: "a" if v.age >= OLD["from"] else "b"), FILM, "group= of entity"),
        (fb.Entity("user", Viewer), FILM, "group= of entity 'user'"),
        (fb.Entity("user", Member, group=_old), FILM, "or its profile, must be as when"),
        (USER, fb.Entity("film"), "profile= of entity 'film' must be Card"),
        (USER, fb.Entity("film", InWords), "profile= of entity 'film' must be Card"),
        (USER, fb.Entity("film", Card, known_by=(Seen,)), "known_by= of entity 'film' must be nothing"),
    ],
)
def test_a_version_of_other_groups_or_another_catalog_is_refused(user: Any, film: Any, reported: str) -> None:
    kept = msgspec.json.decode(msgspec.json.encode(_task_of(USER, FILM).about.declaration))
    with pytest.raises(Refused, match=re.escape(reported)):
        _task_of(user, film).restore(kept)


def test_a_group_counts_with_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = msgspec.json.decode(msgspec.json.encode(_task_of(USER, FILM).about.declaration))
    same = fb.Entity("user", Viewer, group=_old, seen=fb.count(Seen, "1d"))
    for profile in (Longer, Film, Renamed):  # an attribute more, and other names that are declared
        assert _task_of(same, fb.Entity("film", profile)).restore(kept).positive == _task_of(USER, FILM).positive
    with pytest.raises(Refused, match="profile of entity 'film' must have year, as when"):
        _task_of(USER, FILM).restore(_task_of(USER, fb.Entity("film", Longer)).about.declaration)
    monkeypatch.setitem(OLD, "from", 30)
    with pytest.raises(Refused, match="group= of entity 'user'"):
        _task_of(fb.Entity("user", Viewer, group=_old), FILM).restore(kept)
    things = object()
    with pytest.raises(BadDeclaration, match="group of Entity 'user'"):
        _ = _task_of(fb.Entity("user", Viewer, group=lambda v: hash(things)), FILM).about


def test_attributes_of_then_are_found_by_their_names_of_now() -> None:
    """In arrangements and filters; an attribute that is gone is refused by name."""
    now = _task_of(USER, fb.Entity("film", Renamed))
    for attribute in ("genre", "style"):
        assert arranged(now, {"max_per": [attribute, 2]}).max_per == ("style", 2)
        asked = request_of(request_type(now), "a", 5, {"user": 7, "include": {attribute: ["Drama"]}})
        assert fields_of(asked).include == {"style": ["Drama"]}
    assert arranged(now, {"max_per": None}).max_per is None
    with pytest.raises(
        Refused, match=r"attribute of entity 'film' \(film, style\), got 'color', .* no longer declared"
    ):
        arranged(now, {"max_per": ["color", 2]})
    with pytest.raises(Refused, match="its profile is gone"):
        arranged(_task_of(USER, fb.Entity("film")), {"max_per": ["genre", 2]})
    with pytest.raises(BadInput, match="filter attribute must be one of film, style, got 'color'"):
        request_of(request_type(now), "a", 5, {"user": 7, "exclude": {"color": ["red"]}})


def test_a_request_is_checked_against_the_task(films: SimpleNamespace) -> None:
    asked = request_type(films.task())
    assert request_type(films.task(cold_start_slots=0)) is asked, "equal declarations have one type"
    filters = {"include": {"genres": ["Drama"]}, "exclude": {"year": ["1999"]}}
    request = request_of(asked, "a", 5, {"user": "7", "without": ["up"], **filters})
    assert (request.key, request.at_us, request.event) == ("7", 5, asked(at=5, user=7, k=20, without=["up"], **filters))
    for wrong, message in (
        ({"k": 0}, "k must be an integer >= 1, got 0"),
        ({"k": 1_001}, "k must be an integer <= 1000, got 1001"),
        ({"user": "x"}, "user must be an integer, got 'x'"),
        ({"user": None}, "user must be an integer, got None"),
        ({"exclude": {"at": ["3"]}}, "filter attribute must be one of film, genres, year, got 'at'"),
        ({"include": None}, "include must be an object, got None"),
        ({"without": [None]}, r"without\[0\] must be text, got None"),
        ({"kk": 3}, "field must be one of user, k, include, exclude, without, got 'kk'"),
        ({"at": 3}, "field at must be left out"),
    ):
        with pytest.raises(BadInput, match=message):
            request_of(asked, "a", 5, {"user": 7, **wrong})
    with pytest.raises(BadInput, match="field user must be given"):
        request_of(asked, "a", 5, {"k": 3})
    with pytest.raises(BadInput, match="k must be an integer, got '3'"):
        request_of(asked, "a", 5, {"user": 7, "k": "3"}, strict=True)


class Place(fb.Event):
    country: Annotated[str, fb.text(max_length=2)]
    device: str
    logged_in: bool = False


def test_a_request_may_carry_its_context(films: SimpleNamespace) -> None:
    with_place = request_type(films.task(context=Place))
    request = request_of(with_place, "a", 5, {"user": 7, "country": "NL", "logged_in": "true"})
    event = fields_of(request)
    assert (event.country, event.device, event.logged_in) == ("NL", None, True)  # type: ignore[attr-defined]
    assert request_of(with_place, "a", 5, {"user": 7}).event == with_place(at=5, user=7, k=films.task().k)
    with pytest.raises(BadInput, match="country must be text of length <= 2, got 'NLD'"):
        request_of(with_place, "a", 5, {"user": 7, "country": "NLD"})
    with pytest.raises(BadInput, match="country"):
        request_of(request_type(films.task()), "a", 5, {"user": 7, "country": "NL"})


def test_a_release_divides_and_targets_by_the_context(films: SimpleNamespace) -> None:
    about = films.task(context=Place).about
    check_plan(fb.canary(only={"country": "NL", "logged_in": True}, unit="device"), about, ())
    check_plan(fb.switchback("1h", unit="country"), about, ())
    check_plan(fb.bandit(reward="positive", group="device"), about, ())
    with pytest.raises(BadDeclaration, match="for logged_in must be as the field holds it: True, got 'true'"):
        check_plan(fb.canary(only={"logged_in": "true"}), about, ())
    with pytest.raises(BadDeclaration, match="for country must be what the field can hold"):
        check_plan(fb.canary(only={"country": "NLD"}), about, ())


def test_the_context_has_no_name_that_requests_have(films: SimpleNamespace) -> None:
    class Taken(fb.Event):
        k: int

    with pytest.raises(BadDeclaration, match="a field of context of Recommend must be none of user, k, .* got 'k'"):
        films.task(context=Taken)
