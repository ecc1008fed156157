"""A shop whose purchases are in its history, with a daily and a weekly season and, if planted, a fault."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.monitoring import WatchRound
from flyball.operations import catch_up
from flyball.runtime import Runtime
from flyball.settings import load_settings
from flyball.simulation.past import ingest_pieces, pieces_of

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
START_US = 1_767_571_200_000_000
"""A Monday, 0 h."""
DAYS, FAULT_HOUR = 31, 29 * 24
Change = Callable[[int, dict[str, object]], dict[str, object] | None]

APP = """
from typing import Annotated

import flyball as fb


class Buy(fb.Event):
    visitor: Annotated[str, fb.Ref("visitor")]
    item: Annotated[str, fb.Ref("item")]
    price: float
    coupon: str | None = None


app = fb.App(
    "shop",
    events=[Buy],
    task=fb.Recommend(fb.Entity("visitor"), fb.Entity("item"), positive=fb.outcome(Buy, within="1d")),
    candidates={"popular": fb.Popular()},
    watch=fb.watch("6h"),
)
"""


def shop(
    folder: Path,
    days: int,
    change: Change = lambda hour, event: event,
    seed: int = 1,
    source_of: Callable[[dict[str, object]], str] = lambda event: "purchases",
    first_hour: int = 0,
) -> Runtime:
    """A shop with some 250 purchases a day, more on weekends; `change(hour, event)` gives what really comes, and
    `source_of` says where from. What comes before `first_hour` lies in the home already."""
    (folder / "shop.py").write_text(APP)
    rng, lines = np.random.default_rng(seed), dict[str, list[bytes]]()
    for hour in range(days * 24):
        weekend = hour // 24 % 7 >= 5
        rate = 10 * (1 + 0.5 * math.sin((hour % 24 - 9) / 12 * math.pi)) * (1.5 if weekend else 1)
        for at_us in np.sort(rng.integers(0, HOUR_US, rng.poisson(rate))).tolist():
            event: dict[str, object] = {
                "type": "buy",
                "at": START_US + hour * HOUR_US + at_us,
                "visitor": str(rng.integers(1_000)),
                "item": f"item-{rng.integers(30)}",
                "price": round(float(rng.lognormal(3.3 if weekend else 3, 1)), 2),
            }
            if rng.random() < (0.5 if weekend else 0.2):
                event["coupon"] = "spring"
            changed = change(hour, event)
            if changed is not None and hour >= first_hour:
                lines.setdefault(source_of(event), []).append(json.dumps(changed).encode())
    clock = ManualClock(START_US + days * DAY_US + 300_000_000)
    runtime = Runtime(load_app(str(folder / "shop.py"), {}), load_settings(folder / "home"), clock)
    for source, own in lines.items():
        ingest_pieces(runtime, "jsonl", pieces_of(own), source, "history")
    catch_up(runtime)
    return runtime


def found(rounds: list[WatchRound]) -> dict[tuple[str, str], float]:
    """{(monitor, subject): hours from the fault to the finding}."""
    return {
        (finding.monitor, finding.subject): (one_round.at_us - START_US) / HOUR_US - FAULT_HOUR
        for one_round in reversed(rounds)
        for finding in one_round.decision.findings
        if finding.fingerprint in one_round.decision.new
    }
