"""Errors planted in gates, choice, reports, resampling and policy, one at a time; the tests must find each of them."""

from tests.mutations.planted import Planted

_GATES, _CHOICE, _REPORT = "evaluation/gates.py", "evaluation/choice.py", "evaluation/report.py"
_RESAMPLING, _OUTCOMES = "evaluation/resampling.py", "policy/outcomes.py"
_BOUNDS, _METRICS, _EXPRESSIONS = "policy/gates.py", "policy/metrics.py", "policy/expressions.py"

PLANTED_DECISIONS = (
    Planted(_GATES, "units >= least", "units > least", "as many users as needed are too few"),
    Planted(_GATES, "low >= gate.at_least", "low > gate.at_least", "a bound at_least is open"),
    Planted(_GATES, "high <= gate.at_most", "high < gate.at_most", "a bound at_most is open"),
    Planted(_GATES, "estimate.value > gate.above", "estimate.value >= gate.above", "a bound above is closed"),
    Planted(
        _GATES,
        "low = estimate.low if gate.certain",
        "low = estimate.low if not gate.certain",
        "the lower end is read for uncertain gates",
    ),
    Planted(
        _GATES,
        "high = estimate.high if gate.certain",
        "high = estimate.high if not gate.certain",
        "the upper end is read for uncertain gates",
    ),
    Planted(
        _GATES,
        "if estimate is None:\n        return False",
        "if estimate is None:\n        return True",
        "a metric that is absent passes its bound",
    ),
    Planted(
        _GATES,
        "gain.low is not None and gain.low > 0",
        "gain.low is not None and gain.low >= 0",
        "the baseline is beaten by 0",
    ),
    Planted(
        _GATES, "gain.low is not None and gain.low > 0", "gain.value > 0", "the baseline is beaten by the value alone"
    ),
    Planted(_GATES, 'if better == "low":', 'if better == "high":', "the sign of errors is not turned"),
    Planted(_GATES, "abs(own.value)", "0", "nothing may be lost"),
    Planted(_GATES, "gates.max_loss * ", "2 * gates.max_loss * ", "twice as much may be lost"),
    Planted(_GATES, "gain.value - _ONE_SIDED_90", "gain.value + _ONE_SIDED_90", "the best case is taken for the worst"),
    Planted(
        _GATES,
        "_ONE_SIDED_90, _WIDTH_95 = 1.2816, 3.9199",
        "_ONE_SIDED_90, _WIDTH_95 = 1.6449, 3.9199",
        "one-sided 95 % for 90 %",
    ),
    Planted(_GATES, "best >= 0 or worst", "best > 0 or worst", "the same recipe must be better"),
    Planted(_GATES, "best >= 0 or worst >= -allowed", "best >= 0", "the same recipe may lose nothing significantly"),
    Planted(_GATES, "best >= 0 or worst >= -allowed", "worst >= -allowed", "the same recipe must prove itself"),
    Planted(
        _GATES,
        "return GateResult(gate, worst >= -allowed, reason, numbers)",
        "return GateResult(gate, worst > 0, reason, numbers)",
        "another recipe may lose nothing",
    ),
    Planted(_GATES, "if own_recipe:", "if not own_recipe:", "another recipe is treated as the same"),
    Planted(_GATES, "took <= most", "took < most", "a response may not take what is allowed"),
    Planted(
        _GATES,
        "used, words = report.deciding(metric), metric_words(report, metric)",
        "used, words = metric, metric_words(report, metric)",
        "the champion is held by the plain metric",
    ),
    Planted(
        _GATES,
        "if rival.failed:\n        return GateResult(gate, True",
        "if rival.failed:\n        return GateResult(gate, False",
        "a champion that failed blocks",
    ),
    Planted(
        _GATES,
        "rivals.champion != candidate",
        "rivals.champion == candidate",
        "only the champion is held against itself",
    ),
    Planted(
        _GATES,
        "if gate.metric not in replaced",
        "if gate.metric in replaced",
        "a bound does not replace the task's gate",
    ),
    Planted(
        _GATES,
        "if rival == candidate:\n        return GateResult(gate, False",
        "if rival == candidate:\n        return GateResult(gate, True",
        "the baseline beats itself",
    ),
    Planted(
        _GATES,
        "if not rival:\n        return GateResult(gate, False",
        "if not rival:\n        return GateResult(gate, True",
        "no baseline is a baseline beaten",
    ),
    Planted(_CHOICE, "SAME_TIME = 1.25", "SAME_TIME = 1.3", "times within three tenths are the same"),
    Planted(
        _CHOICE,
        "cost[name] <= SAME_TIME * quickest",
        "cost[name] < SAME_TIME * quickest",
        "exactly a quarter slower is slower",
    ),
    Planted(_CHOICE, "gap.low <= 0 <= gap.high", "gap.low < 0 <= gap.high", "an interval that begins at 0 excludes it"),
    Planted(_CHOICE, "gap.low <= 0 <= gap.high", "gap.low <= 0 < gap.high", "an interval that ends at 0 excludes it"),
    Planted(
        _CHOICE,
        "gap.low is None or gap.high is None or gap.low",
        "gap.low is not None and gap.high is not None and gap.low",
        "no interval is a significant difference",
    ),
    Planted(
        _CHOICE,
        "-report.goodness(metric, value[name]), cost[name], name",
        "report.goodness(metric, value[name]), cost[name], name",
        "the worst wins",
    ),
    Planted(
        _CHOICE,
        "-report.goodness(metric, value[name]), cost[name], name",
        "-report.goodness(metric, value[name]), -cost[name], name",
        "ties go to the slower",
    ),
    Planted(_CHOICE, "metric = report.deciding(choice.metric)", "metric = choice.metric", "the plain metric decides"),
    Planted(_CHOICE, "if not report.of(name).failed and", "if", "who failed can win"),
    Planted(_CHOICE, "if not choice.cheapest:", "if choice.cheapest:", "best and cheapest change places"),
    Planted(
        _REPORT,
        'return value if better == "high" else -value',
        'return -value if better == "high" else value',
        "lower is better",
    ),
    Planted(
        _REPORT, "return -abs(value - better)", "return -(value - better)", "below the target is better than at it"
    ),
    Planted(
        _REPORT,
        "low = None if turned.high is None else -turned.high",
        "low = None if turned.low is None else -turned.low",
        "the ends of a turned difference stay",
    ),
    Planted(
        _REPORT,
        "return Estimate(-turned.value, low, high)",
        "return Estimate(turned.value, low, high)",
        "a turned difference keeps its sign",
    ),
    Planted(
        _REPORT,
        'if slice_name == f"{part.by}={part.name}":',
        'if slice_name != f"{part.by}={part.name}":',
        "another slice is read",
    ),
    Planted(_RESAMPLING, "tail = (1 - level) / 2", "tail = 1 - level", "90 % intervals"),
    Planted(
        _RESAMPLING, "drawn += np.arange(count)[:, None] * units", "drawn += 0", "all resamples of a chunk are one"
    ),
    Planted(_RESAMPLING, "self.drawn - other.drawn", "self.drawn", "differences are not paired"),
    Planted(_RESAMPLING, "if units < 2", "if units < 1", "one unit has an interval"),
    Planted(
        _RESAMPLING, "resampled[name].mean() + values[name]", "resampled[name].mean()", "centered values are moved to 0"
    ),
    Planted(_RESAMPLING, "usable = drawn[~np.isnan(drawn)]", "usable = drawn", "nan spoils the interval"),
    Planted(
        _RESAMPLING,
        "sums[:, 2 * index], sums[:, 2 * index + 1]",
        "sums[:, 2 * index + 1], sums[:, 2 * index]",
        "ratios upside down",
    ),
    Planted(
        _OUTCOMES, "return last_at - first_at <= within_us", "return last_at - first_at < within_us", "a span is open"
    ),
    Planted(_OUTCOMES, "reach = at_least - 1", "reach = at_least", "one event more is needed"),
    Planted(
        _OUTCOMES,
        "range(max(reach, start), len(ats))",
        "range(reach, len(ats))",
        "what is known not to hold is looked at again",
    ),
    Planted(_BOUNDS, "not number >= 0", "not number > 0", "a gate of 0 is refused"),
    Planted(_BOUNDS, "metric, at_least=float(bound)", "metric, at_most=float(bound)", "at_least bounds from above"),
    Planted(_BOUNDS, "or not isfinite(bound)", "", "nan is a bound"),
    Planted(_METRICS, "_FORM.fullmatch(text)", "_FORM.match(text)", "what follows a name is ignored"),
    Planted(
        _EXPRESSIONS,
        "return _present(_COMPUTE[expression.op], left, right, None)",
        "return _present(_COMPUTE[expression.op], left, right, 0)",
        "arithmetic with missing is zero",
    ),
    Planted(_EXPRESSIONS, "left, right, False)", "left, right, True)", "a comparison with missing is true"),
    Planted(
        _EXPRESSIONS,
        "except (ZeroDivisionError, OverflowError):",
        "except OverflowError:",
        "a division by zero stops the reader",
    ),
    Planted(
        _EXPRESSIONS,
        "except (ZeroDivisionError, OverflowError):",
        "except ZeroDivisionError:",
        "what no double holds stops the reader",
    ),
    Planted(
        _EXPRESSIONS, "return value.value if isinstance(value, Enum) else value", "return value", "a choice is no text"
    ),
    Planted(
        _EXPRESSIONS,
        "bool(left(event)) & bool(right(event))",
        "left(event) & right(event)",
        "missing & stops it",
    ),
    Planted(
        _EXPRESSIONS, "bool(left(event)) | bool(right(event))", "bool(left(event))", "the right of an or is not read"
    ),
    Planted(_EXPRESSIONS, "not inner(event)", "inner(event)", "~ does nothing"),
    Planted(_EXPRESSIONS, "(theirs, own) if swapped", "(own, theirs) if swapped", "reflected is not swapped"),
)
