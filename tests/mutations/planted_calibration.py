"""Errors planted in decisions by costs, their thresholds and metrics, and conformal intervals, one at a time."""

from tests.mutations.planted import Planted

_DECIDE, _THRESHOLDS, _QUOTE = "policy/decide.py", "policy/thresholds.py", "policy/quote.py"
_METRICS, _BINARY = "tasks/metrics/decisions.py", "tasks/metrics/binary.py"
_RELIABILITY = "tasks/metrics/reliability.py"
_MAPS = "models/tabular/calibration/"
_CONFORMAL, _WRAPPED, _ADAPTIVE = f"{_MAPS}conformal.py", f"{_MAPS}conformalized.py", f"{_MAPS}adaptive.py"

PLANTED_CALIBRATION = (
    Planted(_DECIDE, "APPROVE if approved <= declined", "APPROVE if approved < declined", "equal costs decline"),
    Planted(_DECIDE, "- costs.review > thresholds.review_margin", "- costs.review >= 0", "the margin is not looked at"),
    Planted(_DECIDE, "policy.abstain[0] <= probability", "policy.abstain[0] < probability", "the band is open"),
    Planted(
        _DECIDE,
        "return DecidedAction(APPROVE, intended, policy.control)",
        "return DecidedAction(APPROVE, intended)",
        "the control group has no propensity",
    ),
    Planted(_DECIDE, "intended, 1 - policy.control)", "intended)", "what is declined has no propensity"),
    Planted(_DECIDE, "if intended != DECLINE or", "if intended == APPROVE or", "reviews have a control group"),
    Planted(
        _DECIDE,
        "return 0.0 if happened else costs.false_decline",
        "return costs.false_decline",
        "declining fraud costs",
    ),
    Planted(
        _DECIDE,
        "happens = shifted / (shifted + (1 - probability))",
        "happens = shifted / (shifted + 1)",
        "odds are not normalized",
    ),
    Planted(
        _THRESHOLDS,
        "actions = np.where(approved <= declined",
        "actions = np.where(approved < declined",
        "many are decided otherwise than one",
    ),
    Planted(_THRESHOLDS, "if more.sum() <= _NOISE", "if more.sum() < 0 * _NOISE", "noise moves thresholds"),
    Planted(
        _THRESHOLDS,
        "capacity = policy.reviews_per_day * len(np.unique(day_of))",
        "capacity = policy.reviews_per_day",
        "one day's reviews for all days",
    ),
    Planted(_THRESHOLDS, 'side="right"', 'side="left"', "one review too few"),
    Planted(
        _THRESHOLDS, "order = np.argsort(-saved", "order = np.argsort(saved", "the reviews that save least are kept"
    ),
    Planted(
        _THRESHOLDS,
        "np.sqrt(len(sums)) * sums.std(ddof=1)",
        "1e9 * sums.std(ddof=1)",
        "no difference is more than noise",
    ),
    Planted(
        _QUOTE,
        "return self.late / (self.late + self.early)",
        "return self.early / (self.late + self.early)",
        "late and early change places",
    ),
    Planted(
        _QUOTE,
        "share = (level - lower) / (upper - lower)",
        "share = (level - lower)",
        "the distance of quantiles is not looked at",
    ),
    Planted(
        _METRICS,
        "room = np.clip(self._k - before, 0.0, cells)",
        "room = np.clip(self._k - before, 0.0, None)",
        "more than the ties are taken",
    ),
    Planted(
        _METRICS, "before = total - cells - before_day", "before = total - before_day", "ties are before themselves"
    ),
    Planted(_METRICS, "return bool(pairs.shape[1] == self._days)", "return False", "a day drawn twice is one long day"),
    Planted(_METRICS, "np.maximum.at(best, group, scores)", "np.add.at(best, group, scores)", "a card's scores add up"),
    Planted(
        _METRICS,
        "quiet & np.asarray(flagged, bool), quiet",
        "quiet & np.asarray(flagged, bool), np.ones(len(quiet))",
        "false positives are a share of all",
    ),
    Planted(_BINARY, "allowed = below <= most", "allowed = below < most", "a rate of exactly the bound is above it"),
    Planted(_BINARY, "(gained * (before + below)).sum(axis=1) / 2", "(gained * below).sum(axis=1)", "ties lose all"),
    Planted(_RELIABILITY, "np.abs(weights @ gaps)", "(weights @ gaps)", "gaps cancel each other"),
    Planted(
        _CONFORMAL, "level * (mass.sum() + 1) - _SLACK", "level * mass.sum() - _SLACK", "the new example is not counted"
    ),
    Planted(
        _CONFORMAL,
        "np.maximum(np.asarray(low, np.float64) - actual",
        "np.minimum(np.asarray(low, np.float64) - actual",
        "an interval is missed on both sides",
    ),
    Planted(
        _CONFORMAL, "own if np.isfinite(own) else margins[-1]", "own", "a group that is too small covers everything"
    ),
    Planted(
        _WRAPPED,
        "self._groups.get(tuple(key), unknown)",
        "self._groups.get(tuple(key), 0)",
        "an unknown group is the first",
    ),
    Planted(
        _WRAPPED,
        "base = self.model.fit(older, target, seed)",
        "base = self.model.fit(table, target, seed)",
        "the model sees the window",
    ),
    Planted(
        _ADAPTIVE,
        "self.gamma * (self.target - missed)",
        "self.gamma * (missed - self.target)",
        "intervals that miss shrink",
    ),
    Planted(_ADAPTIVE, "if level >= 1:", "if level >= 9:", "nothing covers everything"),
)
