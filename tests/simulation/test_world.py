"""Every world that comes with Flyball keeps the contract of worlds; what an application says of it is checked."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import flyball as fb
from flyball.app import App, load_app
from flyball.cli.template import write_project
from flyball.core import BadDeclaration, BadInput
from flyball.policy import WORLDS
from flyball.simulation import Timeline, new_plan, open_world, world_settings
from flyball.testing.world_contract import WORLD_CHECKS


def movies(folder: Path) -> App:
    app = load_app("movies")
    app.world = fb.world("movies", users=120, items=200, sessions_a_day=3.0, corrupt_share=0.02, duplicate_share=0.02)
    return app


def shop(folder: Path) -> App:
    written = write_project("shop", folder)
    return load_app(str(written[0]))


def delivery(folder: Path) -> App:
    app = load_app("delivery")
    app.world = fb.world("delivery", orders_a_day=300, shops=8, couriers=20)
    return app


def fraud(folder: Path) -> App:
    app = load_app("fraud")
    app.world = fb.world("fraud", customers=200, terminals=300, fraud=5.0)
    return app


APPS: dict[str, Callable[[Path], App]] = {"delivery": delivery, "fraud": fraud, "movies": movies, "shop": shop}


@pytest.mark.parametrize("check", WORLD_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", APPS)
def test_the_contract(name: str, check: Callable[[App], None], tmp_path: Path) -> None:
    check(APPS[name](tmp_path))


def test_every_world_is_held_to_the_contract() -> None:
    assert set(APPS) == set(WORLDS)


def test_a_protocol_has_five_methods() -> None:
    from flyball.simulation import World

    assert len([name for name in vars(World) if not name.startswith("_")]) == 5


def test_an_unknown_world_is_refused_where_it_is_written() -> None:
    with pytest.raises(BadDeclaration, match="one of delivery, fraud, movies, shop"):
        fb.world("circus")


def test_settings_that_are_given_come_before_those_of_the_declaration() -> None:
    spec = fb.world("movies", users=10, items=30)
    assert world_settings(spec, "movies", {"users": 20}) == {"users": 20, "items": 30}
    with pytest.raises(BadInput, match=r"setting of the world of movies must be one of users, .*got 'films'"):
        world_settings(spec, "movies", {"films": 20})


def test_settings_that_a_world_needs_are_named() -> None:
    with pytest.raises(BadInput, match=r"world of shop must be given buy in fb.world\(...\)"):
        world_settings(fb.world("shop", view=object), "shop", {})


def test_a_class_of_ones_own_is_a_world() -> None:
    class Empty:
        def __init__(self, *, seed: int, start_us: int, size: int = 3) -> None:
            self.made = (seed, start_us, size)

    made = open_world(fb.world(Empty, size=4), "own", seed=7, start_us=8)
    assert made.made == (7, 8, 4)  # type: ignore[attr-defined]


def test_an_application_says_how_long_its_world_lives_before_a_service_comes() -> None:
    app = load_app("movies")
    app.world = fb.world("movies", past_days=9)
    assert new_plan(app, 0).days == 9
    assert new_plan(app, 0, days=2).days == 2
    assert fb.world("movies").past_days == 3
    with pytest.raises(BadDeclaration, match="past_days"):
        fb.world("movies", past_days=-1)


def test_time_is_written_slower_than_it_passes() -> None:
    timeline = Timeline(world_us=1_000, written_us=50, speed=4.0)
    assert timeline.written(1_400) == 150
    assert msgspec.structs.replace(timeline, speed=1.0).written(1_400) == 450
