"""What a drill of monitors found out: which monitor finds which fault, how soon, and what triage calls its cause."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from msgspec import Struct

from flyball.core import format_duration
from flyball.simulation.monitor_faults import CAUSES

ALWAYS, NEVER, ANY = "always alarms", "never alarms", "all together"
UNNAMED, MISSED = "unnamed", "not found"
NAMES = (*CAUSES, UNNAMED, MISSED)


class FaultResult(Struct, frozen=True):
    """What came of one fault.

    `found_us`: {monitor: time from its start to the first finding}. `named_first`, `named_last`: its cause, as the
    first round with findings and all findings at the end say.
    """

    fault: str
    planted: str
    cause: str
    found_us: dict[str, int]
    named_first: str
    named_last: str

    @property
    def soonest_us(self) -> int | None:
        """The time to the first finding of any monitor, None for none."""
        return min(self.found_us.values(), default=None)


class MonitorRow(Struct, frozen=True):
    """What one monitor did. `delay_us`: the median time to its first finding, of the `faults_found`."""

    monitor: str
    faults_found: int
    recall: float
    delay_us: int | None
    false: int


class MonitorDrillReport(Struct, frozen=True, kw_only=True):
    """The outcome of a drill of monitors.

    `rows`: of each monitor that looked, those that found most first, then of all together and the dummies. `confusion`:
    {planted cause: {cause that was named at the end: faults}}. `false`: findings without a fault in `quiet_looks`
    looks, of which `allowed` may be. `every_us`: the time between two looks. `digest`: of the answers of all runs.
    `seconds`: real time.
    """

    app: str
    seed: int
    every_us: int
    digest: str
    faults: list[FaultResult]
    rows: list[MonitorRow]
    confusion: dict[str, dict[str, int]]
    false: int
    quiet_looks: int
    allowed: int
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether each fault was found, with no more false findings than are allowed."""
        return all(result.found_us for result in self.faults) and self.false <= self.allowed

    def text(self) -> str:
        """The report as plain text."""
        right = sum(result.cause == result.named_last for result in self.faults)
        return "\n".join(
            [
                f"monitors of {self.app}, seed {self.seed}, {len(self.faults)} faults, a look each "
                f"{format_duration(self.every_us)}, in {self.seconds:.1f} s",
                f"digest {self.digest}",
                "",
                f"{'fault':18}{'cause':11}{'found after':13}{'named first':13}{'at the end':12}found first by",
                *(_fault_line(result) for result in self.faults),
                "",
                f"{'monitor':22}{'recall':>8}{'median delay':>14}{'false findings':>16}",
                *(_monitor_line(row, len(self.faults)) for row in self.rows),
                "",
                f"{'planted':12}{''.join(f'{name:>12}' for name in NAMES)}",
                *(_confusion_line(cause, named) for cause, named in self.confusion.items()),
                "",
                f"cause named rightly {right} of {len(self.faults)}; false findings {self.false} in "
                f"{self.quiet_looks} looks without a fault, {self.allowed} allowed",
                f"{'passed' if self.passed else 'FAILED'}: each fault must be found, with no more false findings than "
                "are allowed",
            ]
        )


def monitor_rows(
    faults: Sequence[FaultResult], monitors: Iterable[str], false: Mapping[str, int], quiet_looks: int, every_us: int
) -> list[MonitorRow]:
    """The rows of the report; `false`: {monitor: findings without a fault}."""
    single = [
        _row(name, [result.found_us.get(name) for result in faults], false.get(name, 0)) for name in sorted(monitors)
    ]
    single.sort(key=lambda row: -row.faults_found)
    return [
        *single,
        _row(ANY, [result.soonest_us for result in faults], sum(false.values())),
        _row(ALWAYS, [every_us] * len(faults), quiet_looks),
        _row(NEVER, [None] * len(faults), 0),
    ]


def confusion_of(faults: Sequence[FaultResult]) -> dict[str, dict[str, int]]:
    """{planted cause: {cause that was named at the end: faults}}."""
    counts = Counter((result.cause, result.named_last) for result in faults)
    planted = [cause for cause in CAUSES if any(result.cause == cause for result in faults)]
    return {cause: {name: counts[cause, name] for name in NAMES} for cause in planted}


def _row(monitor: str, delays: Sequence[int | None], false: int) -> MonitorRow:
    known = [delay for delay in delays if delay is not None]
    recall = len(known) / max(1, len(delays))
    return MonitorRow(monitor, len(known), recall, int(median(known)) if known else None, false)


def _fault_line(result: FaultResult) -> str:
    first_us = result.soonest_us
    soonest = sorted(name for name, us in result.found_us.items() if us == first_us)
    after = "never" if first_us is None else format_duration(first_us)
    return (
        f"{result.fault:18}{result.cause:11}{after:13}{result.named_first:13}{result.named_last:12}"
        f"{', '.join(soonest) or '–'}"
    )


def _monitor_line(row: MonitorRow, faults: int) -> str:
    delay = "–" if row.delay_us is None else format_duration(row.delay_us)
    return f"{row.monitor:22}{f'{row.faults_found}/{faults}':>8}{delay:>14}{row.false:>16}"


def _confusion_line(cause: str, named: dict[str, int]) -> str:
    return f"{cause:12}{''.join(f'{named[name]:>12}' for name in NAMES)}"
