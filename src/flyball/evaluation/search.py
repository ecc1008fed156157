"""Hyperparameter search with the same stated budget for every family: random, or successive halving.

Sources: Bergstra, Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012; Jamieson, Talwalkar,
"Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016 (successive halving).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec
import numpy as np

from flyball.core import BadDeclaration, FlyballError, Stopwatch
from flyball.models import TabularModel, params_of
from flyball.tasks import Candidate

HALVING_SHARES = (0.25, 0.5, 1.0)
"""Shares of the training data that the rounds of successive halving learn from."""

CandidateT = TypeVar("CandidateT", bound=Candidate)

Score = Callable[[CandidateT, float], float]
"""(candidate, share of the training data) -> score on validation data, higher is better."""


ScoreAll = Callable[[Sequence[tuple[CandidateT, float]]], Iterator[tuple[int, float | Exception, float]]]
"""[(candidate, share)] -> (index, score or why there is none, seconds) of each, in the order in which they end."""


class Space(msgspec.Struct, Generic[CandidateT], frozen=True):
    """A family to search: `base`, and for some of its parameters the values to try.

    A parameter of a model inside `base` is named by a path: `model.l2`, or `models.0.l2` for the first of several.
    """

    family: str
    base: CandidateT
    values: dict[str, tuple[Any, ...]] = {}


def space_of(family: str, base: CandidateT, values: Mapping[str, tuple[Any, ...]] | None = None) -> Space[CandidateT]:
    """The space of `base`. `values`: by default the `search_space` of its class and of the models of tables inside."""
    return Space(family, base, dict(_worth_trying(base) if values is None else values))


def parameter_of(model: Any, path: str) -> Any:
    """The parameter at a path, see `Space`.

    >>> from flyball.models import Calibrated, Linear
    >>> parameter_of(Calibrated(Linear(l2=3.0)), "model.l2")
    3.0
    """
    value = model
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, tuple) else getattr(value, name)
    return value


def with_parameters(model: Any, values: Mapping[str, Any]) -> Any:
    """The model with other parameters, named by paths (see `Space`). Raises the models' errors for invalid values.

    >>> from flyball.models import Calibrated, Linear
    >>> with_parameters(Calibrated(Linear()), {"model.l2": 3.0, "method": "beta"})
    Calibrated(model=Linear(l2=3.0, most=200), method='beta', share=0.2, refit=False)
    """
    own = {path: value for path, value in values.items() if "." not in path}
    within: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, dot, inner_path = path.partition(".")
        if dot:
            within.setdefault(name, {})[inner_path] = value
    if isinstance(model, tuple):
        return tuple(with_parameters(part, within.get(str(index), {})) for index, part in enumerate(model))
    own |= {name: with_parameters(getattr(model, name), inner) for name, inner in within.items()}
    return msgspec.structs.replace(model, **own)


def _worth_trying(model: Any) -> dict[str, tuple[Any, ...]]:
    """{path: values to try} for a model and the models of tables among its parameters."""
    values = dict(getattr(type(model), "search_space", {}))
    if not isinstance(model, TabularModel):
        return values
    for name in model.__struct_fields__:
        value = getattr(model, name)
        parts = enumerate(value) if isinstance(value, tuple) else [("", value)]
        for index, part in parts:
            if isinstance(part, TabularModel):
                start = f"{name}." if index == "" else f"{name}.{index}."
                values |= {f"{start}{path}": tried for path, tried in _worth_trying(part).items()}
    return values


class Trial(msgspec.Struct, frozen=True):
    """One fit on a `share` of the training data. `score`: on validation data; `failed`: why there is none.

    `seconds`: how long the fit took.
    """

    family: str
    params: dict[str, Any]
    share: float
    score: float | None
    failed: str = ""
    seconds: float = 0.0


class Searched(msgspec.Struct, Generic[CandidateT], frozen=True):
    """`best`: for each family the model with the highest score at full share. `budget`: full fits for each family."""

    method: str
    seed: int
    budget: float
    trials: list[Trial]
    best: dict[str, CandidateT]


def search(
    spaces: Sequence[Space[CandidateT]],
    score: Score[CandidateT],
    budget: int = 8,
    method: Literal["random", "halving"] = "random",
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
    *,
    record: Callable[[Trial], object] = lambda trial: None,
    stopwatch: Stopwatch | None = None,
    score_all: ScoreAll[CandidateT] | None = None,
) -> Searched[CandidateT]:
    """Try `budget` parameter sets for each family, including its base; "halving" tries more sets at the same cost.

    With "halving", a fit on a share s of the data costs s of a full fit, so earlier rounds can try more sets: each
    family still spends at most `budget` full fits. A set that cannot be fitted is a failed trial; a family whose trials
    all fail keeps its base. The base takes part in every round that has room for it, so that the gain of the search can
    be seen. `record` is called with each trial as it ends; `stopwatch` measures the times. `score_all`: scores the
    trials of a round instead, such as side by side; they are recorded in their order. The same seed and `score` give
    the same result, whichever other families are searched.
    """
    if budget < 1:
        raise BadDeclaration("search's budget", "at least 1 full fit for each family", budget)
    trials: list[Trial] = []
    best: dict[str, CandidateT] = {}
    for space in spaces:
        rounds = _rounds(budget) if method == "halving" else [(1.0, budget)]
        models = _drawn(space, rounds[0][1], seed)
        spent = 0.0
        for share, size in rounds:
            tried = []
            spare = spent + (size + 1) * share <= budget and share == 1.0
            chosen = _with_base(models, space.base, size, spare)
            if score_all is not None:
                ended = _together(space.family, chosen, share, score_all, progress)
            else:
                ended = (_try(space.family, model, share, score, progress, stopwatch) for model in chosen)
            for model, trial in zip(chosen, ended, strict=True):
                spent += share
                record(trial)
                tried.append((model, trial))
            trials += [trial for _, trial in tried]
            able = [pair for pair in tried if pair[1].score is not None]
            models = [model for model, trial in sorted(able, key=lambda pair: -_score(pair[1]))]
        best[space.family] = models[0] if models else space.base
    return Searched(method, seed, float(budget), trials, best)


def learning_curve(
    model: CandidateT, score: Score[CandidateT], shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 1.0)
) -> list[tuple[float, float]]:
    """[(share of the training data, score)], which shows whether more data would help."""
    return [(share, score(model, share)) for share in shares]


def _with_base(models: list[CandidateT], base: CandidateT, size: int, spare: bool) -> list[CandidateT]:
    """The first `size` models. If the base is not among them, it is added (`spare`) or replaces the last one."""
    if base not in models[size:]:
        return models[:size]
    if spare:
        return [*models[:size], base]
    return [*models[: size - 1], base] if size > 1 else models[:size]


def _rounds(budget: int) -> list[tuple[float, int]]:
    """[(share, number of sets)]: all rounds cost about the same, and at most `budget` full fits together."""
    round_budget = budget / len(HALVING_SHARES)
    return [(share, max(1, int(round_budget / share))) for share in HALVING_SHARES]


def _drawn(space: Space[CandidateT], count: int, seed: int) -> list[CandidateT]:
    """The base, then distinct random choices of the values: `count` in all, or as many as there are."""
    choices = sorted(space.values.items())
    sizes = [len(values) for _, values in choices]
    draw = np.random.default_rng([seed, *space.family.encode()])
    models = [space.base]
    for cell in _cells(int(np.prod(sizes, dtype=np.int64)) if sizes else 0, count, draw):
        picked = {}
        for name, values in choices:
            cell, choice = divmod(cell, len(values))
            picked[name] = values[choice]
        model = with_parameters(space.base, picked)
        if model not in models and len(models) < count:
            models.append(model)
    return models


def _cells(possible: int, count: int, draw: np.random.Generator) -> list[int]:
    """`count` distinct integers in `[0, possible)`, or all of them, in random order."""
    if possible <= 100_000:
        return [int(cell) for cell in draw.permutation(possible)[: count + 1]]
    return [int(cell) for cell in dict.fromkeys(draw.integers(0, possible, 4 * count).tolist())]


def _try(
    family: str,
    model: CandidateT,
    share: float,
    score: Score[CandidateT],
    progress: Callable[[str], None],
    stopwatch: Stopwatch | None,
) -> Trial:
    params = params_of(model)
    progress(f"trying {family} {params}")
    start = stopwatch.read_s() if stopwatch is not None else 0.0
    value: float | Exception
    try:
        value = float(score(model, share))
    except Exception as error:  # a model may raise anything; the others continue
        value = error
    return _trial(family, params, share, value, stopwatch.read_s() - start if stopwatch is not None else 0.0)


def _together(
    family: str,
    models: Sequence[CandidateT],
    share: float,
    score_all: ScoreAll[CandidateT],
    progress: Callable[[str], None],
) -> Iterator[Trial]:
    """The trials of a round in their order, each once it and those before it have ended."""
    ended, yielded = dict[int, Trial](), 0
    progress(f"trying {len(models)} of {family}")
    for index, value, seconds in score_all([(model, share) for model in models]):
        ended[index] = _trial(family, params_of(models[index]), share, value, seconds)
        while yielded in ended:
            yield ended[yielded]
            yielded += 1


def _trial(family: str, params: dict[str, Any], share: float, value: float | Exception, seconds: float) -> Trial:
    if not isinstance(value, Exception):
        return Trial(family, params, share, value, "", seconds)
    failed = str(value) if isinstance(value, FlyballError) else f"{type(value).__name__}: {value}"
    return Trial(family, params, share, None, failed, seconds)


def _score(trial: Trial) -> float:
    return trial.score if trial.score is not None else -np.inf
