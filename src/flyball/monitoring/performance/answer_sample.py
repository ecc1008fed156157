"""A sample of answers whose memory is bounded, however many are read.

An answer is kept while the hash of its id is below a bound, which is halved each time more than so many are kept. So
the sample does not depend on the order in which answers are read, and each is in it with the same probability.
Source: Flajolet, "On Adaptive Sampling", Computing 1990.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from msgspec.structs import replace

from flyball.outcomes import Prediction

MOST_ANSWERS = 200_000
"""How many answers a look holds in memory at most, unless it says otherwise: some 350 MB."""
_HASH_BITS = 64


class KeptAnswer(NamedTuple):
    """An answer without what a look at performance does not need: `items` counts its items, `short` is equal for equal
    answers."""

    answer: Prediction
    items: int
    short: object


class AnswerSample(NamedTuple):
    """Answers in order of time. `seen`: how many there were; `share`: the probability with which each was kept."""

    kept: list[KeptAnswer]
    seen: int
    share: float


def sample_answers(answers: Iterable[Prediction], most: int = MOST_ANSWERS) -> AnswerSample:
    """All answers if they are at most `most`, else so large a sample of them."""
    kept: list[tuple[int, KeptAnswer]] = []
    seen, halvings = 0, 0
    for answer in answers:
        seen += 1
        number = _hash(answer.id.encode())
        if number >> (_HASH_BITS - halvings):
            continue
        kept.append((number, _compact(answer)))
        while len(kept) > most:
            halvings += 1
            kept = [row for row in kept if not row[0] >> (_HASH_BITS - halvings)]
    rows = sorted((row for _, row in kept), key=lambda row: (row.answer.at_us, row.answer.id))
    return AnswerSample(rows, seen, 2.0**-halvings)


def _compact(answer: Prediction) -> KeptAnswer:
    short: object = tuple(round(value, 9) for value in answer.values)
    if answer.items:
        short = _hash("\n".join(answer.items).encode())
    stripped = replace(answer, items=[], scores=[], sources=[], parts=[], propensities={}, reads=(), exposures=())
    return KeptAnswer(stripped, len(answer.items), short)


def _hash(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=_HASH_BITS // 8).digest(), "big")
