"""The report of a simulation: measured metrics and true ones."""

from collections.abc import Iterable, Mapping

import msgspec


class VersionTruth(msgspec.Struct, frozen=True, kw_only=True):
    """Measured and true metrics of one version, or of answers without a version ("").

    `measured`: mean outcomes as joined by the application; `outcomes`: true mean outcomes. `true`: true metrics of its
    responses; `references`: {policy: true metrics of its responses to the same requests}. `candidate`: the candidate
    that it was learned from. `offline`: the reported metric that the winner is chosen by, None if not reported.
    """

    version: str
    candidate: str
    answers: int
    measured: dict[str, float]
    outcomes: dict[str, float]
    true: dict[str, float]
    references: dict[str, dict[str, float]]
    offline: float | None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day. `lines`: that arrived. `by_version`: the share of answers that a version made. Others: true means."""

    day: int
    lines: int
    answers: int
    by_version: float
    outcomes: dict[str, float]
    true: dict[str, float]
    references: dict[str, dict[str, float]]
    champion: str


class LearnedVersion(msgspec.Struct, frozen=True):
    """One registered version.

    `offline`: the reported metric that the winner is chosen by. `true`: the true metrics of its responses to recent
    requests, the same for all versions; empty for a version that failed its gates, because its model is not stored.
    """

    version: str
    candidate: str
    state: str
    offline: float | None
    true: dict[str, float]


class LearningRun(msgspec.Struct, frozen=True):
    """One run of learning on what was known at `as_of_us`; it ended at `at_us`."""

    as_of_us: int
    at_us: int
    status: str
    chosen: str
    released: bool
    champion: str
    reason: str
    versions: list[LearnedVersion] = []


class SimulationReport(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation of a world with `settings` over `days` days, after `past_days` days without a service.

    `digest`: sha256 of all answers in order. `metric`: the metric that the winner is chosen by, given as `offline`.
    `planted`: {kind: lines that the world sent}, including "broken" and "duplicate" ones; `events`, `quarantined`,
    `flagged`, `duplicates`: how the application counted them. `seconds`: real time; `stages`: {stage: real seconds}.
    These two are the only fields that differ between runs.
    """

    app: str
    seed: int
    settings: dict[str, int | float | str]
    days: int
    past_days: int
    digest: str
    metric: str
    lines: int
    planted: dict[str, int]
    events: dict[str, int]
    flagged: int
    quarantined: dict[str, int]
    duplicates: int
    answers: int
    levels: dict[str, int]
    versions: list[VersionTruth]
    learned: list[LearningRun]
    per_day: list[Day]
    seconds: float = 0.0
    stages: dict[str, float] = {}

    def text(self) -> str:
        """The report as plain text."""
        outcomes, true = _names(row.outcomes for row in self.versions), _names(row.true for row in self.versions)
        references = _names(row.references for row in self.versions)
        settings = ", ".join(
            f"{name} {value:,}" if isinstance(value, int | float) else f"{name} {value}"
            for name, value in self.settings.items()
        )
        days = "1 day" if self.days == 1 else f"{self.days} days"
        return "\n".join(
            [
                f"{self.app}: {days} after {self.past_days} without a service, seed {self.seed}, "
                f"in {self.seconds:.1f} s",
                f"world: {settings}",
                f"digest {self.digest}",
                "",
                *self._intake_lines(),
                f"{self.answers:,} answers: " + _counts(self.levels),
                "",
                *(_run_line(run) for run in self.learned),
                "",
                *_table(
                    ("learned", "outcome", self.metric, *(f"true {name}" for name in true)),
                    [_learned_row(version, true) for run in self.learned for version in run.versions],
                ),
                "",
                *_table(
                    ("version", "answers", *_outcome_names(outcomes), *true, *references),
                    [_version_row(version, outcomes, true, references) for version in self.versions],
                ),
                "",
                *_legend(outcomes, true, references),
                "",
                *_table(
                    ("day", "lines", "answers", "by a version", *outcomes, *true[:1], *references, "champion"),
                    [_day_row(day, outcomes, true, references) for day in self.per_day],
                ),
            ]
        )

    def _intake_lines(self) -> list[str]:
        broken, duplicate = (self.planted.get(kind, 0) for kind in ("broken", "duplicate"))
        return [
            f"{self.lines:,} lines: {_counts(self.planted)}",
            f"{sum(self.events.values()):,} events with the profiles, {self.flagged:,} of them flagged; "
            f"{sum(self.quarantined.values()):,} lines in quarantine ({broken:,} planted), "
            f"{self.duplicates:,} duplicates ({duplicate:,} planted)",
        ]


def _names(rows: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _outcome_names(outcomes: list[str]) -> list[str]:
    return [title for name in outcomes for title in (name, "true")]


def _legend(outcomes: list[str], true: list[str], references: list[str]) -> list[str]:
    lines = []
    if outcomes:
        lines.append(f"{', '.join(outcomes)}: mean over answers as measured, and as it was (true);")
    if true:
        lines.append(f"{', '.join(true)}: true metrics of the answers, which the world alone can know")
    if true and references:
        lines.append(f"{', '.join(references)}: the true {true[0]} of other answers to the same requests")
    return lines


def _run_line(run: LearningRun) -> str:
    outcome = f"{run.chosen} released as {run.champion}" if run.released else f"champion stays {run.champion or 'none'}"
    return f"learned ({run.status}): {outcome}; {run.reason}"


def _learned_row(version: LearnedVersion, true: list[str]) -> tuple[str, ...]:
    values = (version.offline, *(version.true.get(name) for name in true))
    return (f"{version.version} {version.candidate}", version.state, *map(_number, values))


def _version_row(version: VersionTruth, outcomes: list[str], true: list[str], references: list[str]) -> tuple[str, ...]:
    name = f"{version.version} {version.candidate}" if version.version else "(no version)"
    pairs = [(version.measured.get(outcome), version.outcomes.get(outcome)) for outcome in outcomes]
    values = [value for pair in pairs for value in pair] + [version.true.get(metric) for metric in true]
    values += [version.references[policy].get(true[0]) for policy in references if true]
    return (name, f"{version.answers:,}", *map(_number, values))


def _day_row(day: Day, outcomes: list[str], true: list[str], references: list[str]) -> tuple[str, ...]:
    values = [
        day.by_version,
        *(day.outcomes.get(name) for name in outcomes),
        *(day.true.get(name) for name in true[:1]),
    ]
    values += [day.references.get(policy, {}).get(true[0]) for policy in references if true]
    return (str(day.day), f"{day.lines:,}", f"{day.answers:,}", *map(_number, values), day.champion or "-")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return ["  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in (header, *rows)]
