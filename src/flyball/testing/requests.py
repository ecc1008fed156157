"""Requests, and the `Online` of a task over the stores of a runtime, as in a serving process."""

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
    """A loader that opens versions over the present state and catalog."""
    items = items_of(runtime.app.task.about)
    catalogs = {} if items is None else {items.name: load_catalog(runtime.state, items)}
    return VersionLoader(
        runtime.app, runtime.artifact_files, Stores(runtime.state, runtime.features, catalogs), runtime.schema.written
    )


def online_of(runtime: Runtime) -> Online:
    """The `Online` of the task over the present state and catalog."""
    return loader_of(runtime).online()
