"""A fault strikes the declared share of answers, and repeats with its seed."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from flyball.core import new_id
from flyball.simulation.fault import SHARE, Planted
from flyball.tasks import RankedItem, Request, Response


class Answers:
    """A pipeline that answers each request with its own id."""

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
        return [Response((RankedItem(request.id, 1.0),), (0.5,)) for request in requests]

    def explain(self, request: Request, context: Any, response: Response) -> list[list[tuple[str, float]]]:
        return [[("own", 1.0)]]

    def warm(self, at_us: int) -> None: ...


def requests(count: int) -> list[Request]:
    rng = random.Random(3)
    return [Request(new_id(1_000 * number, rng), str(number), number, None) for number in range(count)]  # type: ignore[arg-type]


def test_a_fault_strikes_the_declared_share_whatever_the_batch() -> None:
    asked = requests(2_000)
    garbage = Planted(Answers(), "garbage", seed=1)
    together = garbage.answer(asked, [None] * len(asked))
    spoilt = [not response.items and response.values[0] != response.values[0] for response in together]
    assert sum(spoilt) / len(spoilt) == pytest.approx(SHARE, abs=0.04)
    raising = Planted(Answers(), "raise", seed=1)
    for request, struck in zip(asked[:60], spoilt[:60], strict=True):
        if struck:
            with pytest.raises(RuntimeError, match="the fault of the drill"):
                raising.answer([request], [None])
        else:
            assert raising.answer([request], [None])[0].items[0].item == request.id
    with pytest.raises(RuntimeError, match="the fault of the drill"):
        raising.answer(asked[:60], [None] * 60)


def test_the_answers_of_others_are_well_formed_and_repeat_with_the_seed() -> None:
    asked = requests(300)
    first, again, other = (Planted(Answers(), "other", seed=seed).answer(asked, [None] * 300) for seed in (1, 1, 2))
    assert first == again != other
    own = sum(response.items[0].item == request.id for request, response in zip(asked, first, strict=True))
    assert own < 30
    assert {response.items[0].item for response in first} <= {request.id for request in asked}
