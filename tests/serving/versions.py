"""Versions that show given lists, and requests to them."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from flyball.core import new_id
from flyball.tasks import (
    FallbackLists,
    RankedItem,
    Request,
    Response,
    UserHistory,
    empty_history,
    fields_of,
    request_of,
    request_type,
)
from flyball.testing import faulty

NOW_US = faulty.START_US + 2 * faulty.DAY_US


class Notes(list[tuple[str, str, str]]):
    def __call__(self, kind: str, subject: str, reason: object) -> None:
        self.append((kind, subject, str(reason)))


class Lists:
    """A version that shows the same list to all, or does `instead`."""

    def __init__(self, items: Sequence[str], instead: Callable[[Sequence[Request]], Any] | None = None) -> None:
        self.items, self.instead = items, instead

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
        if self.instead is not None:
            return self.instead(requests)  # type: ignore[no-any-return]
        return [listing(*self.items[: fields_of(request).k]) for request in requests]

    def explain(self, request: Request, context: Any, response: Response) -> list[list[tuple[str, float]]]:
        return [[] for _ in response.items]

    def warm(self, at_us: int) -> None:
        pass


def listing(*items: str, score: float = 1.0) -> Response:
    return Response(tuple(RankedItem(item, score) for item in items))


def reading(requests: Sequence[Request]) -> tuple[list[UserHistory], tuple[int, ...]]:
    return [empty_history(None) for _ in requests], (3, 4)


def failing(requests: Sequence[Request]) -> list[Response]:
    raise RuntimeError("broken")


FALLBACK = FallbackLists({"": [RankedItem("p", 0.5, "popular")]}, [("q", 1.0), ("r", 0.5)], offsets=(1, 2))
ASKED = request_type(faulty.app.task)


def asks(count: int = 1) -> list[Request]:
    rng = random.Random(5)
    return [request_of(ASKED, new_id(NOW_US, rng), NOW_US, {"user": user, "k": 2}) for user in range(1, count + 1)]
