"""A run gives signs of life while it lasts, and none after."""

from pathlib import Path

from tests.processes import until

from flyball.learning.signs_of_life import giving_signs
from flyball.registry import Registry, begin_run


def expires_us(registry: Registry) -> int:
    return int(registry.database.rows("SELECT expires_us FROM at_work")[0]["expires_us"])


def test_signs_are_given_until_the_end(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/registry.db"
    registry = Registry(url)
    begin_run(registry, "shop", 5, 6)
    at_begin_us = expires_us(registry)
    with giving_signs(url, "run r1", for_us=20_000):
        first_us = until(lambda: (now_us := expires_us(registry)) != at_begin_us and now_us)
        until(lambda: expires_us(registry) > first_us)
    last_us = expires_us(registry)
    with giving_signs(url, "run r1"):
        assert expires_us(registry) == last_us, "the first is due after a quarter of the time that one counts"
