"""Measures the agreement of two responses to one request: a shadow's answer with the served one.

Sources: Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010 (rank-biased
overlap, extrapolated, lists of unequal length: equation 32).
"""

from collections.abc import Sequence

from flyball.tasks import RankedItem, Response

PERSISTENCE = 0.9
"""The persistence of rank-biased overlap, with which the first ten ranks have 86 % of the weight."""
OVERLAP, RBO, SAME_FIRST, SAME_CLASS, SAME_DECISION = "overlap", "rbo", "same_first", "same_class", "same_decision"
BOUNDED = (OVERLAP, RBO, SAME_FIRST, SAME_CLASS, SAME_DECISION)
"""The measures from 0 to 1, where 1 is full agreement. All other measures are differences."""
_PROBABILITIES = 1e-6
"""Tolerance: two or more values whose sum is 1 within it are treated as probabilities of classes."""


def agreement(served: Response, answered: Response, values: Sequence[str] = ()) -> dict[str, float]:
    """{measure: value} of the agreement of `answered` with `served`; `values` names the values of both.

    Lists: `overlap` (number of common items over the length of the longer list), `rbo` (rank-biased overlap),
    `same_first`; over common items, `rank_shift` (mean absolute difference of ranks) and `score_difference` (mean of
    answered - served). Values: for each value the difference (answered - served) and the distance (its absolute value);
    `same_class` for probabilities of classes. Decisions: `same_decision`. Scores and values that only one of the two
    responses has are ignored.

    >>> agreement(Response(values=(0.25,)), Response(values=(0.75,)), ["probability"])
    {'probability_difference': 0.5, 'probability_distance': 0.5}
    """
    measured: dict[str, float] = {}
    if served.items or answered.items:
        measured |= _of_lists(served.items, answered.items)
    if served.values and len(served.values) == len(answered.values):
        measured |= _of_values(served.values, answered.values, values)
    if served.decision or answered.decision:
        measured[SAME_DECISION] = float(served.decision == answered.decision)
    return measured


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """From 0 (nothing in common) to 1 (equal lists), extrapolated beyond the end of the lists; 1 for two empty lists.

    >>> round(rank_biased_overlap(["a", "b", "c"], ["a", "c", "d"]), 4)
    0.685
    """
    short, long = sorted((first, second), key=len)
    if not short:
        return float(not long)
    seen_short, seen_long = set[str](), set[str]()
    common, common_at_short, total, weight = 0, 0, 0.0, 1.0
    for depth, item in enumerate(long, start=1):
        weight *= persistence
        seen_long.add(item)
        common += item in seen_short
        if depth <= len(short):
            seen_short.add(short[depth - 1])
            common += short[depth - 1] in seen_long
            common_at_short = common
        total += common / depth * weight
        if depth > len(short):
            total += common_at_short * (depth - len(short)) / (len(short) * depth) * weight
    beyond = (common - common_at_short) / len(long) + common_at_short / len(short)
    return min((1 - persistence) / persistence * total + beyond * weight, 1.0)


def _of_lists(served: Sequence[RankedItem], answered: Sequence[RankedItem]) -> dict[str, float]:
    ranks = {item.item: rank for rank, item in enumerate(served)}
    both = [(ranks[item.item], rank) for rank, item in enumerate(answered) if item.item in ranks]
    measured = {
        OVERLAP: len(both) / max(len(served), len(answered)),
        RBO: rank_biased_overlap([item.item for item in served], [item.item for item in answered]),
        SAME_FIRST: float(bool(served and answered) and served[0].item == answered[0].item),
    }
    if both:
        measured["rank_shift"] = sum(abs(before - after) for before, after in both) / len(both)
        differences = (answered[after].score - served[before].score for before, after in both)
        measured["score_difference"] = sum(differences) / len(both)
    return measured


def _of_values(served: Sequence[float], answered: Sequence[float], names: Sequence[str]) -> dict[str, float]:
    measured: dict[str, float] = {}
    for name, before, after in zip(names, served, answered, strict=False):
        measured[f"{name}_difference"] = after - before
        measured[f"{name}_distance"] = abs(after - before)
    if len(served) > 1 and all(abs(sum(row) - 1.0) <= _PROBABILITIES and min(row) >= 0 for row in (served, answered)):
        measured[SAME_CLASS] = float(_largest(served) == _largest(answered))
    return measured


def _largest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)
