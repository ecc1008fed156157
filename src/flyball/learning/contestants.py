"""Who is compared: the application's candidates, and the baselines that any of them should beat."""

from collections.abc import Mapping

import msgspec

from flyball.app import App
from flyball.models import Recommender


class Contestants(msgspec.Struct, frozen=True):
    """`models` by name, candidates first; `baselines`: the names among them that are baselines, the one to beat first.

    A candidate that equals a baseline is both. A baseline whose name a different candidate has is called
    "baseline:<name>".
    """

    models: dict[str, Recommender]
    candidates: tuple[str, ...]
    baselines: tuple[str, ...]


def contestants(app: App) -> Contestants:
    """The application's candidates, and the baselines of its task's evaluation plan."""
    return compared(app.candidates, app.task.offline().plan().baselines)


def compared(candidates: Mapping[str, Recommender], plan_baselines: Mapping[str, Recommender]) -> Contestants:
    """Both together, each name once."""
    models, baselines = dict(candidates), []
    for label, model in plan_baselines.items():
        same = [name for name, each in candidates.items() if type(each) is type(model) and each == model]
        name = same[0] if same else f"baseline:{label}" if label in models else label
        models[name] = model
        baselines.append(name)
    return Contestants(models, tuple(candidates), tuple(baselines))


def model_classes(app: App) -> list[type[Recommender]]:
    """The classes an artifact of `app` may name beside Flyball's own: those of its candidates and of their parts."""
    return list(dict.fromkeys(kind for model in app.candidates.values() for kind in _classes(model)))


def _classes(model: Recommender) -> list[type[Recommender]]:
    return [type(model), *(kind for part in model.parts for kind in _classes(part))]
