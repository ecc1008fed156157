"""Weights of training examples that make them look like the latest requests, whose labels are not known yet."""

from typing import Any, Literal, get_args

import msgspec

from flyball.core import BadDeclaration, declared_duration

LabelMethod = Literal["rlls", "bbse"]
_RECENT, _LIMIT, _LEAST = "7d", 20.0, 0.05


class ReweightCovariates(msgspec.Struct, frozen=True, tag="covariates"):
    """The inputs moved, the target given the inputs did not: examples count by the ratio of densities.

    `columns`: what may have moved, () for all but hour and weekday. `recent_us`: how far the latest requests reach
    back. `limit`: the largest ratio. `least`: the least effective sample size, as a share of the examples.
    """

    columns: tuple[str, ...]
    recent_us: int
    limit: float
    least: float


class ReweightLabels(msgspec.Struct, frozen=True, tag="labels"):
    """The shares of labels moved, the inputs given the label did not: examples count by the ratio of shares.

    `method`: see `flyball.statistics.label_shift`. `recent_us`, `limit`, `least`: as of `ReweightCovariates`.
    """

    method: LabelMethod
    recent_us: int
    limit: float
    least: float


Reweight = ReweightCovariates | ReweightLabels


def reweight_covariates(
    *columns: str, recent: str = _RECENT, limit: float = _LIMIT, least: float = _LEAST
) -> ReweightCovariates:
    """Learn for the requests of the last `recent`, labeled or not: `fb.reweight_covariates("km", recent="2d")`.

    `columns`: those whose values may have moved, by default all but hour and weekday. `limit`: the largest weight
    before scaling. `least`: with a smaller effective sample size, as a share of the examples, nothing is weighted.
    Raises `BadDeclaration`.
    """
    if not all(isinstance(column, str) and column for column in columns):
        raise BadDeclaration("columns of reweight_covariates(...)", 'names of columns, such as "km"', list(columns))
    return ReweightCovariates(columns, *_checked("reweight_covariates", recent, limit, least))


def reweight_labels(
    method: LabelMethod = "rlls", *, recent: str = _RECENT, limit: float = _LIMIT, least: float = _LEAST
) -> ReweightLabels:
    """Learn for the shares of labels of the last `recent`, estimated without their labels: `fb.reweight_labels()`.

    `method`: "rlls" or "bbse", see `flyball.statistics.label_shift`. `limit`, `least`: as of `reweight_covariates`.
    Raises `BadDeclaration`.
    """
    if method not in get_args(LabelMethod):
        raise BadDeclaration("method of reweight_labels(...)", '"rlls" or "bbse"', method)
    return ReweightLabels(method, *_checked("reweight_labels", recent, limit, least))


def _checked(owner: str, recent: str, limit: Any, least: Any) -> tuple[int, float, float]:
    recent_us = declared_duration(f"recent of {owner}(...)", recent, least="1m")
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 1 < limit < float("inf"):
        raise BadDeclaration(f"limit of {owner}(...)", "a number above 1, such as 20", limit)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 < least < 1:
        raise BadDeclaration(f"least of {owner}(...)", "a share between 0 and 1, such as 0.05", least)
    return recent_us, float(limit), float(least)
