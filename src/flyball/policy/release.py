"""How a version comes before users, and what it must pass first."""

import msgspec

from flyball.core import BadDeclaration, parse_duration


class Release(msgspec.Struct, frozen=True):
    """The plan of a release; `steps` are shares of users in per cent, (100,) an immediate swap."""

    steps: tuple[int, ...]


def full_rollout() -> Release:
    """All users at once, after the gates pass."""
    return Release((100,))


class Gates(msgspec.Struct, frozen=True):
    """What every version must pass before it may serve."""

    min_examples: int
    max_loss: float
    max_answer_us: int
    min_full_lists: float
    max_fit_us: int = 7_200_000_000


def gates(
    min_examples: int = 30,
    max_loss: float = 0.05,
    max_answer: str = "50ms",
    min_full_lists: float = 0.99,
    max_fit: str = "2h",
) -> Gates:
    """Set the gates.

    `min_examples`: users in the test window, below it nothing can be said. `max_loss`: the share of the champion's
    metric that another recipe may lose, with 90 % confidence. `max_answer`: median time of one answer.
    `min_full_lists`: share of test users who get a full list.
    `max_fit`: how long one fit may take; one that takes longer is ended and rejected. Raises `BadDeclaration`.
    """
    for name, number in (("min_examples", min_examples), ("max_loss", max_loss), ("min_full_lists", min_full_lists)):
        if not isinstance(number, int | float) or isinstance(number, bool) or not number >= 0:
            raise BadDeclaration(f"{name} of gates(...)", "a number from 0", number)
    return Gates(min_examples, max_loss, parse_duration(max_answer), min_full_lists, parse_duration(max_fit))
