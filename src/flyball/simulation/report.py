"""What a simulation tells: what was measured, and beside it what was true."""

import msgspec


class Truth(msgspec.Struct, frozen=True):
    """Means over lists. `quality`: probability that the user likes a film of the list, if started. `ndcg`: those
    probabilities as gains, against the best possible list. `taken`: probability that a film is started from the list.
    """

    quality: float
    ndcg: float
    taken: float


class VersionTruth(msgspec.Struct, frozen=True, kw_only=True):
    """One version ("" for answers that no version made), as measured by the application and as it was.

    `adoption`, `liked`: shares of answers, by the outcomes room; `true_adoption`: the same by what users did.
    `true`: the lists it gave; `beside`: {"oracle", "popular", "random"}: other lists for the same requests.
    `model`: the candidate's name; `offline`: what its report said of the metric the winner is chosen by.
    """

    version: str
    model: str
    answers: int
    personalised: float
    adoption: float
    liked: float
    true_adoption: float
    true: Truth
    beside: dict[str, Truth]
    offline: float | None


class Day(msgspec.Struct, frozen=True):
    """One day: lines that arrived, answers, share of them by a version, and how good the lists were."""

    day: int
    lines: int
    answers: int
    personalised: float
    true_adoption: float
    quality: float
    popular_quality: float
    champion: str


class Learnt(msgspec.Struct, frozen=True):
    """One version as it was registered: what its report said (`offline`) and what its lists are worth (`true`, for the
    same few hundred users for all; None for one that failed its gates, of which nothing is kept)."""

    version: str
    model: str
    state: str
    offline: float | None
    true: Truth | None


class Learned(msgspec.Struct, frozen=True):
    """One run of learning: when it was through, on what was known `as_of_us`, and what came out."""

    as_of_us: int
    at_us: int
    status: str
    chosen: str
    released: bool
    champion: str
    reason: str
    versions: list[Learnt] = []


class SimulationReport(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation of `users` users over `days` days, after `past_days` without a service.

    `digest`: sha256 over all answers in order. `metric`: what the winner is chosen by, and the `offline` figures tell.
    `planted`: lines the world sent by kind, the corrupted ones by what was done to them; `events`, `quarantined`,
    `flagged`, `duplicates`: what the application made of them. `seconds`: real time; the only thing besides
    `stages`, real seconds by part, that differs from run to run.
    """

    app: str
    seed: int
    users: int
    films: int
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
    learned: list[Learned]
    per_day: list[Day]
    seconds: float = 0.0
    stages: dict[str, float] = {}

    def text(self) -> str:
        """For a person to read."""
        return "\n".join(
            [
                f"{self.days} days of {self.users:,} users and {self.films:,} films after {self.past_days} without a "
                f"service, seed {self.seed}, in {self.seconds:.1f} s",
                f"digest {self.digest}",
                "",
                *self._intake_lines(),
                f"{self.answers:,} answers: " + ", ".join(f"{level} {n:,}" for level, n in self.levels.items()),
                "",
                *(_learned_line(one) for one in self.learned),
                "",
                *_table(
                    ("learned", "outcome", self.metric, "true ndcg", "true quality"),
                    [_learnt_row(one) for run in self.learned for one in run.versions],
                ),
                "",
                *_table(
                    ("version", "answers", "adoption", "true", "quality", "ndcg", "popular", "random", "oracle"),
                    [_version_row(one) for one in self.versions],
                ),
                "",
                "adoption: share of answers of which a film was then watched, as measured, and as it was (true);",
                "quality: true probability that the user likes a film of the list; popular, random, oracle: the",
                "quality of other lists for the same requests",
                "",
                *_table(
                    ("day", "lines", "answers", "by a model", "adoption", "quality", "popular", "champion"),
                    [_day_row(one) for one in self.per_day],
                ),
            ]
        )

    def _intake_lines(self) -> list[str]:
        planted = self.planted
        odd = planted["altered"] + planted["random_film"]
        return [
            f"{self.lines:,} lines, {sum(self.events.values()):,} events with the profiles, {self.duplicates:,} "
            f"duplicates ({planted['duplicate']:,} planted)",
            f"{planted['broken'] + odd:,} lines corrupted: {planted['broken']:,} broken, "
            f"{sum(self.quarantined.values()):,} in quarantine; {odd:,} still well-formed, "
            f"{self.flagged:,} events flagged",
        ]


def _learned_line(one: Learned) -> str:
    outcome = f"{one.chosen} released as {one.champion}" if one.released else f"champion stays {one.champion or 'none'}"
    return f"learned ({one.status}): {outcome}; {one.reason}"


def _learnt_row(one: Learnt) -> tuple[str, ...]:
    values = (one.offline, one.true.ndcg if one.true else None, one.true.quality if one.true else None)
    told = ("-" if value is None else f"{value:.3f}" for value in values)
    return (f"{one.version} {one.model}", one.state, *told)


def _version_row(one: VersionTruth) -> tuple[str, ...]:
    name = f"{one.version} {one.model}" if one.version else "(no version)"
    others = (one.beside[ranking].quality for ranking in ("popular", "random", "oracle"))
    shares = (one.adoption, one.true_adoption, one.true.quality, one.true.ndcg, *others)
    return (name, f"{one.answers:,}", *(f"{share:.3f}" for share in shares))


def _day_row(one: Day) -> tuple[str, ...]:
    shares = (one.personalised, one.true_adoption, one.quality, one.popular_quality)
    return (
        str(one.day),
        f"{one.lines:,}",
        f"{one.answers:,}",
        *(f"{share:.3f}" for share in shares),
        one.champion or "-",
    )


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    return ["  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in (header, *rows)]
