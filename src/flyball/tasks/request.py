"""One request, the same struct for every task and on the whole way from HTTP to the re-ranking."""

from zlib import crc32

import msgspec

from flyball.events import Event


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request, arrived at `at_us`. `id` becomes the prediction's id.

    `event`: of the task's request type, checked as the log's events are. `key`: the text of its first Ref; it decides
    the release arm, the partition of the prediction log and what is sampled.
    """

    id: str
    key: str
    at_us: int
    event: Event

    @property
    def seed(self) -> int:
        """The seed of every random draw in the response, a function of the id alone."""
        return seed_of(self.id)


def seed_of(prediction_id: str) -> int:
    """32 bits that depend on the id alone, so that a replay draws the same.

    >>> seed_of("01ARZ3NDEKTSV4RRFFQ69G5FAV") == seed_of("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    True
    """
    return crc32(prediction_id.encode())
