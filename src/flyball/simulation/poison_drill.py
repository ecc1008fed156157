"""The drill of poisoning: accounts that push items into every list, and what training without them is worth.

One past is simulated. It is learned from as it is, with the lines of the attack, and with them while suspects are held
as soon as the daily look finds them. The world knows how good the lists are for the users who were there.
"""

import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flyball.app import App
from flyball.core import BadInput, ManualClock, SystemStopwatch, format_duration, new_id
from flyball.learning import learn
from flyball.monitoring import observe_suspects, suspects_of
from flyball.operations import catch_up
from flyball.outcomes import response_of
from flyball.policy import gates
from flyball.registry import hold_accounts, holds_at
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation.past import by_format, ingest_pieces, live_past, pieces_of
from flyball.simulation.virtual import START_US, DrawnStopwatch
from flyball.simulation.world import DAY_US, PushAttack, Timeline, WorldRequest, can_be_pushed, open_world
from flyball.tasks import Response, request_of

POISON = "poison"
PAST_DAYS, BEFORE_END_US = 8, 3 * DAY_US
SHARE, LEAST_QUALITY = 0.01, 0.99
_SCALE = {"users": 800, "items": 400, "sessions_a_day": 1.0}
_REQUESTS = 400
_LOGS = {"clean": "the clean log", "poisoned": "the poisoned log", "held": "the same, suspects held"}
_NOTHING = "no account acts as no others do"


class PoisonedLists(Struct, frozen=True):
    """The lists of one version. `quality`: their true quality for honest users; `pushed`: the share with a target."""

    log: str
    quality: float
    pushed: float


class PoisonDrillReport(Struct, frozen=True, kw_only=True):
    """The outcome of the drill. `attackers` among `accounts` others pushed `targets`.

    `lists`: learned from the clean log, the poisoned one, and the poisoned one while suspects are held. `found_us`: the
    time from the first event of the attack to the finding, None for none. `caught`: attackers that are held; `wrong`:
    others that are. `metric`: of the true quality. `seconds`: real time.
    """

    app: str
    seed: int
    days: int
    accounts: int
    attackers: int
    targets: list[str]
    metric: str
    lists: list[PoisonedLists]
    found_us: int | None
    caught: int
    wrong: int
    message: str
    seconds: float = 0.0

    @property
    def kept(self) -> float:
        """The quality of lists that were learned while suspects are held, as a share of that from the clean log."""
        return self.lists[2].quality / self.lists[0].quality

    @property
    def passed(self) -> bool:
        """Whether the attack was found, and quality is within 1 % of that from the clean log."""
        return self.found_us is not None and self.kept >= LEAST_QUALITY

    def text(self) -> str:
        """The report as plain text."""
        clean = self.lists[0]
        rows = [
            f"{lists.log:<24}{lists.quality:>9.4f}{lists.quality / clean.quality:>9.1%}{lists.pushed:>22.1%}"
            for lists in self.lists
        ]
        outcome = "not found"
        if self.found_us is not None:
            outcome = f"found {format_duration(self.found_us // 3_600_000_000 * 3_600_000_000)} after its first event"
        return "\n".join(
            [
                f"{POISON} of {self.app}, seed {self.seed}, {self.days} days in {self.seconds:.1f} s",
                f"planted: {self.attackers} accounts beside {self.accounts:,} push {', '.join(self.targets)}",
                "",
                f"{'learned from':<24}{self.metric:>9}{'of clean':>9}{'lists with a target':>22}",
                *rows,
                "",
                f"the attack was {outcome}: {self.message}",
                f"held {self.caught} of {self.attackers} attackers and {self.wrong} others",
                "passed" if self.passed else "FAILED",
            ]
        )


def run_poison_drill(
    app: App,
    name: str = POISON,
    *,
    seed: int = 1,
    days: int | None = None,
    share: float = SHARE,
    report_progress: Callable[[str], object] | None = None,
    **settings: Any,
) -> PoisonDrillReport:
    """Poison the past of the application's world with `share` of its accounts; same arguments, same numbers.

    `name`: the one attack there is. `days`: of the past, 8 by default; the attack begins three days before its end.
    `settings`: of the world. The second declared candidate is learned, the first is often a baseline. Raises `BadInput`
    for a world without such an attack or too few days, `BadDeclaration` for an application without a world.
    """
    if name != POISON:
        raise BadInput("drill", POISON, name)
    lived, say = PAST_DAYS if days is None else days, report_progress or _silent
    if lived < 4:
        raise BadInput("days", "4 or more", lived)
    if not can_be_pushed(app.world, app.name):
        raise BadInput(f"world of {app.name}", "one whose accounts can push targets, such as that of movies", app.world)
    stopwatch = SystemStopwatch()
    began_s, start_us = stopwatch.read_s(), START_US - lived * DAY_US
    settings.pop("past_days", None)
    world: Any = open_world(app.world, app.name, seed=seed, start_us=start_us, **{**_SCALE, **settings})
    app = copy(app)  # the caller's application stays as it is declared
    app.candidates = dict(list(app.candidates.items())[1:2])
    app.retrain, app.gates = (), gates(min_examples=1, max_answer="10s")
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        report = _Drill(app, Path(folder), world, seed, lived, share, say).run(start_us)
    return replace(report, seconds=stopwatch.read_s() - began_s)


class _Drill:
    def __init__(
        self, app: App, folder: Path, world: Any, seed: int, days: int, share: float, say: Callable[[str], object]
    ) -> None:
        self._app, self._folder, self._world, self._say = app, folder, world, say
        self._seed, self._days, self._share = seed, days, share

    def run(self, start_us: int) -> PoisonDrillReport:
        base = self._home("clean")
        self._ingest(base, by_format(list(live_past(self._world, start_us, START_US))))
        entity, honest = suspects_of(base, START_US, days=self._days)
        count, rng = max(5, round(self._share * honest.accounts)), np.random.default_rng([self._seed, 16])
        attack: PushAttack = self._world.push_attack(rng, count, START_US - BEFORE_END_US)
        for name in ("poisoned", "held"):
            shutil.copytree(self._folder / "clean", self._folder / name)
        requests = _first_of_each(self._world.requests(START_US + DAY_US, Timeline()))
        lists, found_us, message = list[PoisonedLists](), None, _NOTHING
        for name, log in _LOGS.items():
            runtime = base if name == "clean" else self._home(name)
            if name != "clean":
                self._ingest(runtime, _lines_of(attack))
            if name == "held":
                found_us, message = self._look(runtime, attack)
            lists.append(self._learned(runtime, log, requests, attack))
            self._say(f"learned from {log}")
        accounts = set(holds_at(runtime.registry, entity))
        return PoisonDrillReport(
            app=self._app.name,
            seed=self._seed,
            days=self._days,
            accounts=honest.accounts,
            attackers=len(attack.accounts),
            targets=attack.targets,
            metric=self._metric,
            lists=lists,
            found_us=found_us,
            caught=len(accounts & set(attack.accounts)),
            wrong=len(accounts - set(attack.accounts)),
            message=message,
        )

    def _home(self, name: str) -> Runtime:
        return Runtime(self._app, load_settings(self._folder / name), ManualClock(START_US))

    def _ingest(self, runtime: Runtime, lines: dict[str, list[bytes]]) -> None:
        for format, own in lines.items():
            ingest_pieces(runtime, format, pieces_of(own), "world", "history")
        catch_up(runtime)

    def _look(self, runtime: Runtime, attack: PushAttack) -> tuple[int | None, str]:
        """Look at the end of each day since the attack began, and hold suspects; (time to the finding, its words)."""
        begin_us = attack.lines[0][0]
        found_us, message = None, _NOTHING
        for at_us in range(begin_us // DAY_US * DAY_US + DAY_US, START_US + 1, DAY_US):
            entity, suspects = suspects_of(runtime, at_us, days=self._days)
            seen = observe_suspects(entity, suspects)
            if not seen.matters:
                continue
            if found_us is None:
                found_us, message = at_us - begin_us, seen.message
            shares = {suspect.account: 0.0 for suspect in suspects.suspects}
            hold_accounts(runtime.registry, entity, shares, by="drill", reason=seen.message, at_us=at_us)
            self._say(seen.message)
        return found_us, message

    def _learned(
        self, runtime: Runtime, log: str, requests: Sequence[WorldRequest], attack: PushAttack
    ) -> PoisonedLists:
        """Learn, and answer the requests by what was learned."""
        learn(
            runtime, START_US, workers=1, seed=self._seed, by="drill", stopwatch=DrawnStopwatch([self._seed, 13], 0.002)
        )
        ids = random.Random(self._seed)
        service = Service(runtime, "drill", ids, ManualClock(START_US), DrawnStopwatch([self._seed, 12], 0.001))
        service.refresher.step()
        event_type = self._app.task.about.request
        questions = [
            request_of(event_type, new_id(request.at_us, ids), request.at_us, request.fields) for request in requests
        ]
        responses: list[Response] = [response_of(answer) for answer in service.engine.answer(questions)]
        quality = self._world.true_quality(requests, responses)
        self._metric = next(iter(quality))
        targets = set(attack.targets)
        pushed = [bool(targets & {item.item for item in response.items}) for response in responses]
        return PoisonedLists(log, float(np.mean(quality[self._metric])), float(np.mean(pushed)))


def _lines_of(attack: PushAttack) -> dict[str, list[bytes]]:
    """{format: lines}."""
    lines: dict[str, list[bytes]] = {}
    for _, format, line in attack.lines:
        lines.setdefault(format, []).append(line)
    return lines


def _first_of_each(requests: Sequence[WorldRequest]) -> list[WorldRequest]:
    """The first requests of different users, at most 400."""
    first: dict[str, WorldRequest] = {}
    for request in requests:
        first.setdefault(str(request.fields), request)
    return list(first.values())[:_REQUESTS]


def _silent(_: str) -> None: ...
