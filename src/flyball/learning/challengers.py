"""The challengers that are compared: the application's candidates, and the baselines that they should beat."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.app import App
from flyball.tasks import ReadsByEvent, Task


class Challengers(msgspec.Struct, frozen=True):
    """`models` by name, candidates first; `baselines`: the names among them that are baselines, the one to beat first.

    A candidate equal to a baseline is both. A baseline whose name another candidate has is called "baseline:<name>".
    """

    models: dict[str, Any]
    candidates: tuple[str, ...]
    baselines: tuple[str, ...]


def challengers_of(app: App) -> Challengers:
    """The application's candidates, and the baselines of its task's evaluation plan."""
    return compared(app.candidates, app.task.offline().plan().baselines)


def compared(candidates: Mapping[str, Any], plan_baselines: Mapping[str, Any]) -> Challengers:
    """Candidates and baselines together, with unique names."""
    models, baselines = dict(candidates), []
    for label, model in plan_baselines.items():
        same = [name for name, candidate in candidates.items() if type(candidate) is type(model) and candidate == model]
        name = same[0] if same else f"baseline:{label}" if label in models else label
        models[name] = model
        baselines.append(name)
    return Challengers(models, tuple(candidates), tuple(baselines))


def variant_name(challenger: str, window: str) -> str:
    """The name of a challenger that is fitted on another training window than the usual one."""
    return f"{challenger}@{window}"


def plain_name(name: str) -> str:
    """The name of the challenger, of a variant too; the names of challengers have no @."""
    return name.partition("@")[0]


def needs_past(task: Task, candidate: Any) -> bool:
    """Whether a candidate needs the past at several times, for its examples or for features."""
    reads = getattr(candidate, "features", ()) or feature_hashes_of(task, candidate)
    return bool(getattr(candidate, "needs_past", False) or reads)


def feature_hashes_of(task: Task, candidate: Any) -> dict[str, str]:
    """{feature: hash of its definition} of the declared features that a candidate reads."""
    if isinstance(task, ReadsByEvent):
        return task.feature_hashes_of(candidate)
    hashes: dict[str, str] = getattr(candidate, "feature_hashes", {})
    return hashes
