"""What is asked: one request for a list, numbered on arrival."""

import random
from zlib import crc32

import msgspec

from flyball.core import new_id


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One request for `k` items for `user`, arrived at `at_us`; `id` becomes the prediction's id.

    `include` and `exclude` map an item attribute to values; `without` lists items that must not be shown.
    """

    id: str
    user: str
    k: int
    at_us: int
    include: dict[str, list[str]] | None = None
    exclude: dict[str, list[str]] | None = None
    without: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The seed of every random choice in the answer, a function of the id alone."""
        return seed_of(self.id)

    @property
    def filtered(self) -> bool:
        return bool(self.include or self.exclude or self.without)


def new_ask(user: str, k: int, now_us: int, rng: random.Random) -> Ask:
    """A plain request, numbered by `now_us` and `rng`."""
    return Ask(new_id(now_us, rng), user, k, now_us)


def seed_of(prediction_id: str) -> int:
    """32 bits that depend on the id alone, so that a replay draws the same.

    >>> seed_of("01ARZ3NDEKTSV4RRFFQ69G5FAV") == seed_of("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    True
    """
    return crc32(prediction_id.encode())
