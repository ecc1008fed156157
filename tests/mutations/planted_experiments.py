"""Errors planted in the experiments on the log, one at a time; the tests must find each of them."""

from tests.mutations.planted import Planted

_INTERLEAVED, _PERIODS = "interleaved.py", "periods.py"

PLANTED_EXPERIMENTS = (
    Planted(
        _PERIODS,
        "if arms.setdefault(period, answer.arm) != answer.arm:",
        "if arms.setdefault(period, answer.arm) == '':",
        "a period of both arms is compared",
    ),
    Planted(
        _PERIODS, "answer.at_us % period_us >= carry_over_us", "answer.at_us % period_us >= 0", "the carry-over counts"
    ),
    Planted(
        _PERIODS,
        "period = answer.market, answer.at_us // period_us",
        'period = "", answer.at_us // period_us',
        "markets share their periods",
    ),
    Planted(
        _INTERLEAVED,
        "if first + within_us <= as_of_us}",
        "if first <= as_of_us}",
        "units enter before their window is over",
    ),
    Planted(
        _INTERLEAVED,
        "drafted.at_us <= firsts[drafted.unit] + within_us:",
        "drafted.at_us <= as_of_us:",
        "lists after the window count",
    ),
    Planted(
        _INTERLEAVED,
        "for id, position, value in frame.filter(pl.col(column).is_not_null())",
        "for id, position, value in frame.filter(pl.col(column).is_null())",
        "credit of what has no label",
    ),
    Planted(
        _INTERLEAVED,
        "if None not in heads and heads[0] != heads[1]:",
        "if None not in heads:",
        "items that cannot move harvest bias",
    ),
)
