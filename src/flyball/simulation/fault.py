"""The fault of a drill: the pipeline of a version, with some answers that are wrong."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from flyball.releases import bucket_of
from flyball.tasks import Pipeline, Request, Response

SHARE = 0.3
"""The share of answers that a fault strikes."""
_POOL = 200


class Planted:
    """The pipeline of a version, with a fault in some of its answers."""

    def __init__(self, pipeline: Pipeline, fault: str, seed: int) -> None:
        self.pipeline, self._fault = pipeline, fault
        self._rng, self._pool = np.random.default_rng([seed, 15]), list[Response]()

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
        if self._fault == "misread":
            return self.pipeline.answer([misread(request) for request in requests], [_emptied(c) for c in contexts])
        responses = self.pipeline.answer(requests, contexts)
        if self._fault == "stuck":
            self._pool = self._pool or responses[:1]
            return [self._pool[0] for _ in responses]
        if self._fault == "other":
            return [self._another(response) for response in responses]
        hits = [is_struck(request.id) for request in requests]
        if self._fault == "raise" and any(hits):
            raise RuntimeError("the fault of the drill")
        if self._fault != "garbage":
            return responses
        return [_spoilt(response) if hit else response for response, hit in zip(responses, hits, strict=True)]

    def explain(self, request: Request, context: Any, response: Response) -> list[list[tuple[str, float]]]:
        return self.pipeline.explain(request, context, response)

    def warm(self, at_us: int) -> None:
        self.pipeline.warm(at_us)

    def _another(self, response: Response) -> Response:
        """The response to another request; a list is drawn from items of other lists, as a whole one may suit all."""
        self._pool = [*self._pool[-_POOL:], response]
        if not response.items:
            return self._pool[int(self._rng.integers(len(self._pool)))]
        known = sorted({item.item for other in self._pool for item in other.items})
        drawn = self._rng.permutation(len(known))[: len(response.items)].tolist()
        items = [
            msgspec.structs.replace(item, item=known[index]) for item, index in zip(response.items, drawn, strict=True)
        ]
        return msgspec.structs.replace(response, items=tuple(items))


def is_struck(request_id: str) -> bool:
    """Whether a fault strikes the answer to this request: a function of its id alone."""
    return bucket_of(request_id, "drill") < SHARE * 10_000


def misread(request: Request) -> Request:
    """The request as a version with a bug reads it: numbers with a fraction are ten times what they are."""
    event = request.event
    wrong = {name: value * 10 for name in event.__struct_fields__ if isinstance(value := getattr(event, name), float)}
    return msgspec.structs.replace(request, event=msgspec.structs.replace(event, **wrong)) if wrong else request


def _emptied(context: Any) -> Any:
    """A context whose history is empty; others as they are."""
    fields = getattr(context, "__struct_fields__", ())
    if "items" not in fields:
        return context
    columns = ("items", "weights", "ratings", "at_us")
    return msgspec.structs.replace(context, **{name: getattr(context, name)[:0] for name in columns if name in fields})


def _spoilt(response: Response) -> Response:
    return Response(values=(float("nan"),) * len(response.values))
