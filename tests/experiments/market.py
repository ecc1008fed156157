"""A shop whose users are split between two versions, with a planted effect, written to real logs."""

import random
from pathlib import Path
from typing import Annotated, Any

import numpy as np

import flyball as fb
from flyball.core import ManualClock, new_id
from flyball.events import Record
from flyball.outcomes import Exposure, Prediction, prediction_record
from flyball.registry import AuditEntry, ReleaseStep, Run, Version, replace_release
from flyball.releases import Release, ReleaseArm
from flyball.runtime import Runtime, load_settings

User = Annotated[int, fb.Ref("user"), fb.integer(1)]
Item = Annotated[str, fb.Ref("item"), fb.text(max_length=20)]
START_US, DAY_US, HOUR_US = 1_700_006_400_000_000, 86_400_000_000, 3_600_000_000


class View(fb.Event):
    user: User
    item: Item


class Buy(fb.Event):
    user: User
    item: Item
    price: Annotated[float, fb.real(0, 1_000)]


METRICS = {
    "bought": fb.metric.rate(Buy, within="1d", role="primary"),
    "views": fb.metric.count_per_unit(View, within="1d", before="2d"),
    "price": fb.metric.mean(Buy, lambda b: b.price, within="1d"),
    "taken": fb.metric.label("positive", within="1d"),
}
ARMS = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))


def shop(metrics: Any = METRICS) -> fb.App:
    user, item = fb.Entity("user"), fb.Entity("item")
    return fb.App(
        "market",
        events=[View, Buy],
        task=fb.Recommend(user, item, positive=fb.outcome(Buy, within="1d"), k=3),
        candidates={"popular": fb.Popular()},
        metrics=metrics,
    )


def release(kind: str = "ab", **fields: Any) -> Release:
    constants = {"n_best": 4_000.0, "alpha": 0.01}
    return Release(
        id="rel1",
        kind=kind,
        state="ab",
        arms=ARMS,
        salt="rel1",
        constants=constants,
        started_us=START_US,
        **fields,  # type: ignore[arg-type]
    )


def register(runtime: Runtime, *releases: Release, first: int = 0) -> None:
    """Put releases into the registry as they are."""
    import msgspec

    for number, each in enumerate(releases, first):
        document = msgspec.to_builtins(each)
        step = ReleaseStep(
            release=int(each.id[3:]),
            kind=each.kind,
            command="draft",
            before="draft",
            after=each.state,
            document=document,
        )
        entry = AuditEntry(at_us=START_US, by="ann", action="start", subject=each.id, reason="to see")
        replace_release(runtime.registry, number, {"champion": None}, {}, entry, [step])


def candidate_of(run: Run, candidate: str, kind: str) -> Version:
    """A version that a run of the market made."""
    return Version(
        app="market",
        candidate=candidate,
        kind=kind,
        params={},
        seed=1,
        snapshot="s",
        as_of_us=5,
        created_us=6,
        run=run.id,
        state="candidate",
    )


def answer(rng: random.Random, user: int, at_us: int, *exposures: Exposure, **fields: Any) -> Record:
    """One prediction of the recommender."""
    usual: dict[str, Any] = {
        "items": ["a", "b", "c"],
        "scores": [3.0, 2.0, 1.0],
        "sources": ["model"] * 3,
        "request": {"user": user, "k": 3, "context": None, "without": []},
        "version": "v1",
    }
    made = Prediction(
        id=new_id(at_us, rng),
        at_us=at_us,
        key=str(user),
        request_type="recommendrequest",
        arm="champion",
        propensity=0.5,
        level="champion",
        offsets=(),
        exposures=exposures,
        **(usual | fields),
    )
    return prediction_record(made)


def market(
    folder: Path,
    users: int = 3_000,
    effect: float = 0.1,
    share: float = 0.5,
    seed: int = 1,
    days: int = 4,
    app: Any = None,
) -> Runtime:
    """A home in which `effect` more of the candidate's users buy than the .2 of control, and view once more.

    A user comes in over `days` days and is answered two times; views of before depend on the same taste.
    """
    draw, rng = np.random.default_rng(seed), random.Random(seed)
    end_us = START_US + (days + 2) * DAY_US
    runtime = Runtime(app or shop(), load_settings(folder), ManualClock(end_us))
    schema, answers, events = runtime.schema, [], []

    def event(name: str, user: int, at_us: int, **fields: Any) -> None:
        events.append(schema.check(name, {"user": user, **fields}, at_us, at_us))

    for user in range(1, users + 1):
        candidate = bool(draw.random() < share)
        at_us = START_US + int(draw.integers(0, days * DAY_US // 1_000_000)) * 1_000_000
        exposure = Exposure("rel1", "candidate", share) if candidate else Exposure("rel1", "control", 1 - share)
        answers += [answer(rng, user, at_us, exposure), answer(rng, user, at_us + 2 * HOUR_US, exposure)]
        taste = draw.gamma(2.0, 1.0)
        for _ in range(draw.poisson(2 * taste)):
            event("view", user, at_us - int(draw.integers(1, 2 * DAY_US)), item="a")
        for _ in range(draw.poisson(taste + candidate)):
            event("view", user, at_us + int(draw.integers(0, DAY_US)), item="b")
        if draw.random() < 0.2 + effect * candidate:
            event("buy", user, at_us + int(draw.integers(1, DAY_US)), item="a", price=float(draw.integers(5, 50)))
    runtime.log.append(events)
    runtime.predictions.append(answers)
    register(runtime, release())
    return runtime


app = shop()
