"""Flyball: one Python file declares a machine-learning application, Flyball runs its whole loop in production.

`import flyball as fb` loads nothing heavy: each name comes from its room when first used.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyball.app import App as App
    from flyball.app import load_app as load_app
    from flyball.core import FlyballError as FlyballError
    from flyball.data import open as open
    from flyball.events import Event as Event
    from flyball.events import Profile as Profile
    from flyball.events import Ref as Ref
    from flyball.events import columns as columns
    from flyball.events import integer as integer
    from flyball.events import joined as joined
    from flyball.events import real as real
    from flyball.events import renamed as renamed
    from flyball.events import text as text
    from flyball.features import Derived as Derived
    from flyball.features import Entity as Entity
    from flyball.features import Features as Features
    from flyball.features import FeatureSet as FeatureSet
    from flyball.features import attribute as attribute
    from flyball.features import computed as computed
    from flyball.features import count as count
    from flyball.features import decayed as decayed
    from flyball.features import distinct as distinct
    from flyball.features import exact as exact
    from flyball.features import first as first
    from flyball.features import hashed as hashed
    from flyball.features import last as last
    from flyball.features import last_n as last_n
    from flyball.features import lifetime as lifetime
    from flyball.features import max as max
    from flyball.features import mean as mean
    from flyball.features import min as min
    from flyball.features import ratio as ratio
    from flyball.features import std as std
    from flyball.features import sum as sum
    from flyball.features import target as target
    from flyball.features import tiled as tiled
    from flyball.models import *  # noqa: F403  # every model, as its door lists them
    from flyball.policy import ab as ab
    from flyball.policy import alerts as alerts
    from flyball.policy import any_of as any_of
    from flyball.policy import bandit as bandit
    from flyball.policy import best as best
    from flyball.policy import canary as canary
    from flyball.policy import cheapest_within_noise as cheapest_within_noise
    from flyball.policy import cron as cron
    from flyball.policy import decide as decide
    from flyball.policy import every as every
    from flyball.policy import gates as gates
    from flyball.policy import immediate as immediate
    from flyball.policy import interleave as interleave
    from flyball.policy import metric as metric
    from flyball.policy import on_drift as on_drift
    from flyball.policy import on_erasure as on_erasure
    from flyball.policy import on_performance as on_performance
    from flyball.policy import on_volume as on_volume
    from flyball.policy import outcome as outcome
    from flyball.policy import quote as quote
    from flyball.policy import reweight_covariates as reweight_covariates
    from flyball.policy import reweight_labels as reweight_labels
    from flyball.policy import shadow as shadow
    from flyball.policy import stateful as stateful
    from flyball.policy import suspects as suspects
    from flyball.policy import switchback as switchback
    from flyball.policy import value as value
    from flyball.policy import watch as watch
    from flyball.policy import world as world
    from flyball.tasks import Predict as Predict
    from flyball.tasks import Recommend as Recommend
    from flyball.tasks import elapsed as elapsed
    from flyball.tasks import occurs as occurs
    from flyball.tasks import target_value as target_value

_ROOM_OF = {
    **dict.fromkeys(["App", "load_app"], "flyball.app"),
    **dict.fromkeys(["FlyballError"], "flyball.core"),
    **dict.fromkeys(
        ["Event", "Profile", "Ref", "columns", "real", "renamed", "text", "integer", "joined"], "flyball.events"
    ),
    **dict.fromkeys(
        [
            "Entity",
            "Derived",
            "FeatureSet",
            "Features",
            "computed",
            "hashed",
            "attribute",
            "count",
            "decayed",
            "distinct",
            "exact",
            "first",
            "last",
            "last_n",
            "lifetime",
            "max",
            "mean",
            "min",
            "ratio",
            "std",
            "sum",
            "target",
            "tiled",
        ],
        "flyball.features",
    ),
    **dict.fromkeys(
        ["Histories", "Interactions", "LambdaMART", "Recommender", "calibrated", "conformal", "downsampled"],
        "flyball.models",
    ),
    **dict.fromkeys(
        [
            "alerts",
            "any_of",
            "ab",
            "bandit",
            "canary",
            "immediate",
            "interleave",
            "shadow",
            "stateful",
            "switchback",
            "best",
            "cheapest_within_noise",
            "cron",
            "decide",
            "every",
            "gates",
            "metric",
            "on_drift",
            "on_erasure",
            "on_performance",
            "on_volume",
            "outcome",
            "quote",
            "reweight_covariates",
            "reweight_labels",
            "value",
            "suspects",
            "watch",
            "world",
        ],
        "flyball.policy",
    ),
    **dict.fromkeys(["open"], "flyball.data"),
    **dict.fromkeys(["Predict", "Recommend", "elapsed", "occurs", "target_value"], "flyball.tasks"),
}

__version__ = "0.1.0"


def _models() -> list[str]:
    """The class names of the models of the door of their room."""
    room = import_module("flyball.models")
    return [model.__name__ for model in (*room.MODELS.values(), *room.TABULAR_MODELS.values())]


def _model(name: str) -> Any:
    """The model of this class name; None where there is none. Imports no other model of tables."""
    room = import_module("flyball.models")
    value = getattr(room, name, None) if name in room.__all__ else None
    return value if isinstance(value, type) and issubclass(value, room.Recommender | room.TabularModel) else None


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        value = getattr(import_module(_ROOM_OF[name]), name)
    elif name == "__all__":
        value = sorted([*_ROOM_OF, *_models()])
    elif name[:1].isupper() and (model := _model(name)) is not None:
        value = model
    else:
        raise AttributeError(f"module 'flyball' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*_ROOM_OF, *_models(), "__version__"]
