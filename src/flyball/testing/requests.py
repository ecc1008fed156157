"""Requests and the online door over the stores of a runtime, as a serving process has them."""

import random
from typing import Any

from flyball.core import new_id
from flyball.runtime import Runtime
from flyball.serving import VersionLoader, items_of
from flyball.state import load_catalog
from flyball.tasks import Online, Request, Stores, request_of


def make_request(runtime: Runtime, key: object, at_us: int, rng: random.Random, **fields: Any) -> Request:
    """A request of the application's task, numbered by `at_us` and `rng`."""
    return request_of(runtime.app.task.about.request, new_id(at_us, rng), at_us, {"user": str(key), **fields})


def loader_of(runtime: Runtime) -> VersionLoader:
    """What opens versions over the state and the catalog as they are now."""
    items = items_of(runtime.app.task.about)
    catalogs = {} if items is None else {items.name: load_catalog(runtime.state, items)}
    return VersionLoader(
        runtime.app, runtime.artifacts, Stores(runtime.state, runtime.features, catalogs), runtime.schema.written
    )


def online_of(runtime: Runtime) -> Online:
    """The task's online door over the state and the catalog as they are now."""
    return loader_of(runtime).online()
