"""Faults of what serves: a state store that cannot be read, a version that reads its inputs wrongly, stuck answers."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.core import StoreUnavailable
from flyball.events import Offsets
from flyball.serving import Serving
from flyball.simulation.fault import Planted
from flyball.tasks import Pipeline, Request

OF_RELEASE = ("misread",)
"""The faults that come with a release."""


class ServingFault:
    """The fault `kind`: "away" for a state store that cannot be read, "misread" for a bug of `version`, "stuck" for
    versions that repeat their first answer, or "".

    `version`: the version with the bug, "" before it is released.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self._kind, self._seed, self.version = kind, seed, ""
        self._pipelines = dict[int, Planted]()

    def planted(self, serving: Serving, over: bool) -> Serving:
        """`serving` with the fault, or without it when it is `over`."""
        if self._kind == "away":
            reads = {version: read for version, read in serving.contexts.items() if read is not _unavailable}
            names = (*serving.pipelines, serving.fallback_version)
            return msgspec.structs.replace(serving, contexts=reads if over else dict.fromkeys(names, _unavailable))
        if not self._kind:
            return serving
        sound = {name: p.pipeline if isinstance(p, Planted) else p for name, p in serving.pipelines.items()}
        broken = [] if over else [name for name in sound if self._kind not in OF_RELEASE or name == self.version]
        pipelines = {**sound, **{name: self._planted(sound[name]) for name in broken}}
        return serving if pipelines == serving.pipelines else msgspec.structs.replace(serving, pipelines=pipelines)

    def _planted(self, pipeline: Pipeline) -> Planted:
        return self._pipelines.setdefault(id(pipeline), Planted(pipeline, self._kind, self._seed))


def _unavailable(requests: Sequence[Request]) -> tuple[Sequence[Any], Offsets]:
    raise StoreUnavailable("the state store cannot be read: the fault of the drill")
