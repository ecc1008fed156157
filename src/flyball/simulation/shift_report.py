"""What a drill of shift found out."""

from msgspec import Struct
from msgspec.structs import replace

from flyball.core import format_duration
from flyball.simulation.monitored import DrilledFinding

_HOUR_US = 3_600_000_000


class Regret(Struct, frozen=True):
    """By how much answers were worse than an oracle's, on average, in the unit of `metric`; `answers`: how many."""

    answers: int
    mean: float


class ShiftDrillReport(Struct, frozen=True, kw_only=True):
    """The outcome of a drill of shift.

    Times are microseconds since the shift began. `found_us`: of the first finding, None for none; `mitigated_us`: of
    the step `mitigation` that ended it, None for none. `expected`, `outcome`: in words. `before`, `during`, `after`:
    the regret before it, until it was mitigated, and from then on. `harm`: the sum of the regret above that of before.
    `false`: findings before it without a cause, of which `allowed` may be; `explained`: those that came with a release;
    `early`: those before a season could be known. `fallbacks`:
    the share of answers by a fallback during it. `attainable`: the regret, in the same days as `after`, of answers that
    were learned in a world that had always been shifted; None where nothing is to be learned. `cause`: the kind of
    shift of the world that was planted, "" for none; `named`: those that findings named, the first one first.
    """

    app: str
    drill: str
    form: str
    planted: str
    seed: int
    days: int
    digest: str
    expected: str
    outcome: str
    passed: bool
    findings: list[DrilledFinding]
    events: list[str]
    found_us: int | None
    within_us: int
    mitigated_us: int | None
    mitigation: str
    metric: str
    before: Regret
    during: Regret
    after: Regret
    harm: float
    false: int
    allowed: int
    early: int
    fallbacks: float
    looks: int
    attainable: Regret | None = None
    explained: int = 0
    cause: str = ""
    named: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def regained(self) -> float | None:
        """The share of the attainable gain that the mitigation regained; None where none is known to be attainable."""
        gap = 0.0 if self.attainable is None else self.during.mean - self.attainable.mean
        return (self.during.mean - self.after.mean) / gap if gap > 0 and self.after.answers else None

    def beside(self, attainable: Regret) -> "ShiftDrillReport":
        """The same beside what is attainable: a version that answers worse than the one before mitigates nothing."""
        report = replace(self, attainable=attainable)
        if report.regained is None or report.regained >= 0:
            return report
        return replace(report, passed=False, outcome=f"{self.outcome}, but by a version that answers worse")

    def text(self) -> str:
        """The report as plain text."""
        form = f", {self.form}" if self.form else ""
        lines = [
            f"{self.drill} of {self.app}{form}, seed {self.seed}, {self.days} days in {self.seconds:.1f} s",
            f"planted: {self.planted}",
            f"digest {self.digest}",
            "",
            *(
                f"{_hours(drilled.after_us):>8}  {drilled.finding.severity}, {drilled.finding.origin}: "
                f"{drilled.finding.message}"
                for drilled in self.findings
            ),
            *([""] if self.findings else []),
            *self.events,
            *([""] if self.events else []),
        ]
        lines += [
            f"time to finding     {_took(self.found_us)}{_allowed(self.within_us)}",
            *([f"cause named         {', then '.join(self.named) or 'none'}"] if self.cause else []),
            f"time to mitigation  {_took(self.mitigated_us)}{': ' + self.mitigation if self.mitigation else ''}",
            f"worse than an oracle, mean {self.metric}: {self.before.mean:.4g} before, {self.during.mean:.4g} until "
            f"mitigated ({self.during.answers:,} answers), {self.after.mean:.4g} after ({self.after.answers:,})",
            *([] if self.attainable is None else [_attainable_line(self.attainable), _regained_line(self.regained)]),
            f"harm                {self.harm:,.4g} of {self.metric}, in sum",
            f"answers by fallback {self.fallbacks:.2%}",
            f"false findings      {self.false} in {self.looks:,} looks, {self.allowed} allowed"
            + (f"; {self.explained} that a release explains" if self.explained else "")
            + (f"; {self.early} before the season could be known" if self.early else ""),
            f"{'passed' if self.passed else 'FAILED'}: it must be {self.expected}; it is {self.outcome}",
        ]
        return "\n".join(lines)


def _attainable_line(attainable: Regret) -> str:
    return f"attainable          {attainable.mean:.4g} after, by what is learned where it had always been so"


def _regained_line(share: float | None) -> str:
    if share is None:
        return "regained            nothing was to be regained: answers until then were no worse"
    return f"regained            {'all' if share >= 1 else f'{share:.0%}'} of the gap"


def _hours(after_us: int) -> str:
    return f"{after_us / _HOUR_US:+.0f} h"


def _took(us: int | None) -> str:
    return "never" if us is None else format_duration(us)


def _allowed(within_us: int) -> str:
    return f", {format_duration(within_us)} allowed" if within_us else ""
