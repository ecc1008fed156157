"""Requests and the online door over the stores of a runtime, as a serving process has them."""

import random
from typing import Any

from flyball.core import new_id
from flyball.runtime import Runtime
from flyball.state import load_catalog
from flyball.tasks import Online, Request, Stores, request_of


def make_request(runtime: Runtime, key: object, at_us: int, rng: random.Random, **fields: Any) -> Request:
    """A request of the application's task, numbered by `at_us` and `rng`."""
    return request_of(runtime.app.task.about.request, new_id(at_us, rng), at_us, {"user": str(key), **fields})


def online_of(runtime: Runtime) -> Online:
    """The task's online door over the state and the catalog as they are now."""
    task = runtime.app.task
    catalogs = {task.item.name: load_catalog(runtime.state, task.item)}
    return task.online(Stores(runtime.state, runtime.features, catalogs))
