"""A shop whose lists and purchases are written to real logs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tests.monitoring.performance.bank import DAY_US, START_US, answer

import flyball as fb
from flyball.core import ManualClock
from flyball.operations import catch_up
from flyball.runtime import Runtime
from flyball.settings import load_settings

HOUR_US = 3_600_000_000
Shown = tuple[float, int, str, str]
"""(hours after the start, user, the items, a letter each, version)."""
Bought = tuple[float, int, str]
"""(hours after the start, user, item)."""


class Purchase(fb.Event):
    user: Annotated[int, fb.Ref("user"), fb.integer(1)]
    product: Annotated[str, fb.Ref("product")]


class Product(fb.Profile):
    product: Annotated[str, fb.Ref("product")]
    color: str = ""
    tags: list[str] = []


def shop_app(**named: Any) -> fb.App:
    return fb.App(
        "shop",
        events=[Purchase],
        task=fb.Recommend(
            fb.Entity("user"),
            fb.Entity("product", profile=Product),
            positive=fb.outcome(Purchase, within="1d"),
            k=3,
            **named,
        ),
        candidates={"popular": fb.Popular()},
    )


def hours(number: float) -> int:
    return START_US + int(number * HOUR_US)


def shop(
    folder: Path,
    shown: Sequence[Shown],
    bought: Sequence[Bought],
    products: str = "",
    days: int = 30,
    colors: Mapping[str, str] | None = None,
    tags: Mapping[str, list[str]] | None = None,
) -> Runtime:
    """`products`: the catalog, a letter each, known at the start."""
    runtime = Runtime(shop_app(), load_settings(folder), ManualClock(START_US + days * DAY_US))
    schema = runtime.schema
    profiles = [
        schema.check(
            "product",
            {"product": product, "color": (colors or {}).get(product, ""), "tags": (tags or {}).get(product, [])},
            START_US,
            START_US,
        )
        for product in products
    ]
    events = [
        schema.check("purchase", {"user": user, "product": item}, hours(at), hours(at)) for at, user, item in bought
    ]
    answers = [
        answer(
            hours(at),
            number,
            str(user),
            "recommendrequest",
            {"user": user, "k": len(items), "without": []},
            items=list(items),
            scores=[1.0] * len(items),
            sources=["randomized" if version == "random" else "model"] * len(items),
            version=version,
        )
        for number, (at, user, items, version) in enumerate(shown)
    ]
    runtime.log.append(profiles + sorted(events, key=lambda event: event.at))
    runtime.predictions.append(answers)
    catch_up(runtime)
    return runtime


def narrowing(day: int) -> str:
    """What lists of a day are drawn from: fewer products from day to day."""
    return "abcdefghijkl"[: 12 - 3 * day]


def narrowing_lists(days: int = 3, daily: int = 40) -> list[Shown]:
    """Lists of two versions that are drawn from twelve products, then nine, then six."""
    rng = np.random.default_rng(1)
    return [
        (24 * day + number / 4, number % 10 + 1, "".join(rng.choice(list(narrowing(day)), 3, replace=False)), version)
        for day in range(days)
        for number in range(daily)
        for version in ("v1" if number % 2 or day == 0 else "v2",)
    ]
