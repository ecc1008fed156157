"""The result of an experiment: one struct for each metric, with numbers and a sentence."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from flyball.core import format_timestamp
from flyball.statistics import Inference, SampleRatio

WITHHELD = "withheld"
"""The verdict if units are not split as declared."""

WORDS = {
    "too early": "nothing may be concluded yet",
    "better": "better",
    "worse": "worse",
    "worse than the margin": "worse by more than is acceptable",
    "not worse than the margin": "not worse by more than is acceptable",
    "undecided": "neither better nor worse may be concluded yet",
    "undecided after correction": "not shown once all comparisons are counted",
    WITHHELD: "not to be read: units are not split as declared",
}
"""{verdict: its text in sentences}."""
_ROLES = ("primary", "secondary", "guardrail")


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm against control.

    `control`, `arm_mean`: means over the units with closed windows, without adjustment. `inference`: on the
    absolute effect, None if it cannot be computed (`missing` says why). `relative`: [effect, low, high] as shares
    of control, None if control is 0 or there are too few units. `p`: p-value of no effect, or with a margin of an
    effect equal to it; `p_zero`: of no effect in any case; `p_adjusted`: `p` corrected for multiple comparisons.
    `adjusted_by`: the share of variance that CUPED removed, None without it. `units`: {arm: units with closed
    windows}; `waiting`: {arm: units with open windows}. `more_units`: roughly how many more units of both arms
    would decide if the effect is as estimated, None if it is decided or cannot be computed. `slice`: such as
    "device=tv", "" for all. `abort`: the inference at the error by which a release is aborted by this metric, None
    where it cannot be or `inference` decides.
    """

    metric: str
    arm: str
    role: str
    kind: str
    better: str
    margin: float = 0.0
    within_us: int = 0
    control: float | None = None
    arm_mean: float | None = None
    inference: Inference | None = None
    relative: tuple[float, float, float] | None = None
    p: float | None = None
    p_zero: float | None = None
    p_adjusted: float | None = None
    adjusted_by: float | None = None
    units: Mapping[str, int] = {}
    waiting: Mapping[str, int] = {}
    more_units: int | None = None
    missing: str = ""
    verdict: str = "too early"
    warnings: tuple[str, ...] = ()
    slice: str = ""
    abort: Inference | None = None

    @property
    def sentence(self) -> str:
        """A sentence on the values of control and the arm, the interval of the effect, and the conclusion.

        >>> result = MetricResult(metric="bought", arm="candidate", role="primary", kind="rate", better="high")
        >>> result.sentence
        'bought: nothing may be concluded yet.'
        """
        name = f"{self.metric} ({self.slice})" if self.slice else self.metric
        known = self.control is not None and self.arm_mean is not None and self.inference is not None
        moved = ""
        if known and self.inference is not None and self.control is not None:
            moved = f" {self._value(self.control)} → {self._value(self.arm_mean)}, {self._effect()};"
        missing = self.missing or (self.inference.missing if self.inference is not None else "")
        why = f": {missing}" if missing else ""
        if self.more_units:
            why = f"; if the effect is as estimated, about {self.more_units:,} more units decide"
        return f"{name}:{moved} {WORDS[self.verdict]}{why}."

    def _effect(self) -> str:
        assert self.inference is not None
        ends = [self._value(end, signed=True) for end in (self.inference.low, self.inference.high)]
        ends[0] = ends[0].removesuffix(" points")
        share = "" if self.relative is None else f" ({100 * self.relative[0]:+z.3g} %)"
        return f"{self._value(self.inference.effect, signed=True)}{share}, between {ends[0]} and {ends[1]}"

    def _value(self, value: float | None, signed: bool = False) -> str:
        if value is None or not isfinite(value):
            return "no limit"
        if self.kind in ("rate", "retention"):
            return f"{100 * value:{'+' if signed else ''}.3g}{' points' if signed else ' %'}"
        return f"{value:{'+' if signed else ''}.4g}"

    def document(self) -> dict[str, Any]:
        """The result as plain values, with the sentence, for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, inference=None, abort=None))
        for name, known in (("inference", self.inference), ("abort", self.abort)):
            plain[name] = None if known is None else known.document()
        return {**plain, "sentence": self.sentence}


class Ramp(msgspec.Struct, frozen=True):
    """A period with one split: {arm: declared share} and {arm: units}. Such periods are not pooled."""

    name: str
    shares: Mapping[str, float]
    units: Mapping[str, int]


class ExperimentResult(msgspec.Struct, frozen=True, kw_only=True):
    """The results of an experiment at `as_of_us`.

    `metrics`: every metric of every arm except control. `slices`: the same by values of request fields. `units`: {arm:
    units that took part}. `sample_ratio`: the test of the declared split, None without units. `constants`: what was
    fixed before the start. `warnings`: reasons to doubt the effects; `notes`: what is so by design.
    """

    experiment: str
    as_of_us: int
    arms: tuple[str, ...]
    units: Mapping[str, int]
    switched: int
    steps: tuple[Ramp, ...]
    sample_ratio: SampleRatio | None
    metrics: tuple[MetricResult, ...]
    slices: tuple[MetricResult, ...] = ()
    constants: Mapping[str, float] = {}
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def comparable(self) -> bool:
        """Whether the units are split as declared, so that arms can be compared."""
        return self.sample_ratio is None or not self.sample_ratio.alarm

    def of(self, metric: str, arm: str = "candidate") -> MetricResult:
        """One metric of one arm; raises `KeyError`."""
        for result in self.metrics:
            if (result.metric, result.arm) == (metric, arm):
                return result
        raise KeyError(f"{metric} of {arm}")

    @property
    def sentences(self) -> tuple[str, ...]:
        """The results as sentences, the most important first."""
        units = ", ".join(f"{count:,} {arm}" for arm, count in self.units.items())
        at = format_timestamp(self.as_of_us // 1_000_000 * 1_000_000)
        lines = [f"{self.experiment} until {at}: {units or 'no units yet'}."]
        if self.sample_ratio is not None:
            lines.append(f"{self.sample_ratio.sentence[:1].upper()}{self.sample_ratio.sentence[1:]}")
        several = len(self.arms) > 2
        ordered = sorted(self.metrics, key=lambda result: _ROLES.index(result.role))
        lines += [f"{result.role}{f' of {result.arm}' if several else ''}: {result.sentence}" for result in ordered]
        lines += [f"{note}." for note in self.notes]
        lines += [f"Warning: {warning}" for warning in self.all_warnings]
        return tuple(lines)

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The warnings of the experiment and of its metrics."""
        own = [f"{result.metric}: {warning}" for result in self.metrics for warning in result.warnings]
        return tuple(dict.fromkeys([*self.warnings, *own]))

    def document(self) -> dict[str, Any]:
        """The results as plain values, for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, metrics=(), slices=()))
        if self.sample_ratio is not None:
            alarm = {"alarm": self.sample_ratio.alarm, "sentence": self.sample_ratio.sentence}
            plain["sample_ratio"] = {**plain["sample_ratio"], **alarm}
        plain["metrics"] = [result.document() for result in self.metrics]
        plain["slices"] = [result.document() for result in self.slices]
        return {**plain, "comparable": self.comparable, "sentences": list(self.sentences)}

    @property
    def legend(self) -> tuple[str, ...]:
        """What the numbers of the tables are: the level and method of the intervals, the correction, the units."""
        metrics: dict[str, list[str]] = {}
        for result in (*self.metrics, *self.slices):
            known = result.inference
            if known is not None:
                names = metrics.setdefault(known.reading, [])
                if result.metric not in names:
                    names.append(result.metric)
        alpha = self.constants.get("alpha", 0.05)
        return (
            *(f"interval of {', '.join(names)}: {reading}." for reading, names in metrics.items()),
            "control, of arm: means of the units; of a rate, the share of units. effect: of arm - control, with CUPED.",
            "p: of no effect; of a guardrail with a margin, of a loss of the margin. adjusted p: corrected among all",
            "guardrails (Holm), or among all others (Benjamini and Hochberg); a verdict needs one below "
            f"{alpha:g} besides its interval.",
            f"units: {' / '.join(self.arms)}, each once, with a window that has closed; open: those whose has not.",
        )

    def table(self, sliced: bool = False) -> tuple[list[str], list[list[str]]]:
        """(columns, rows) of all numbers, as text. `sliced`: of the slices."""
        columns = ["metric", "role", "arm", "control", "of arm", "effect", "interval", "relative", "p", "adjusted p"]
        columns += ["units", "open", "CUPED", "verdict"]
        return columns, [_row(result) for result in (self.slices if sliced else self.metrics)]


def _row(result: MetricResult) -> list[str]:
    def number(value: float | None, form: str = ".4g") -> str:
        return "–" if value is None else f"{value:{form}}" if isfinite(value) else "no limit"

    inference, relative = result.inference, result.relative
    interval = "–" if inference is None else f"[{number(inference.low, '+.4g')}, {number(inference.high, '+.4g')}]"
    return [
        f"{result.metric}{f'/{result.slice}' if result.slice else ''}",
        result.role,
        result.arm,
        number(result.control),
        number(result.arm_mean),
        number(None if inference is None else inference.effect, "+.4g"),
        interval,
        "–"
        if relative is None
        else f"{100 * relative[0]:+z.3g} % [{100 * relative[1]:+z.3g}, {100 * relative[2]:+z.3g}]",
        number(result.p, ".2g"),
        number(result.p_adjusted, ".2g"),
        " / ".join(f"{count:,}" for count in result.units.values()) or "–",
        f"{sum(result.waiting.values()):,}",
        "–" if result.adjusted_by is None else f"{-100 * result.adjusted_by:+.1f} % var.",
        result.verdict,
    ]
