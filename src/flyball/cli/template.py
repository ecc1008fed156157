"""What `flyball new` writes: an application file and made-up events to try it on."""

import json
import random
import re
from pathlib import Path

from flyball.cli.template_decide import APPLICATION as DECIDE_APPLICATION
from flyball.cli.template_predict import APPLICATION as PREDICT_APPLICATION
from flyball.cli.template_predict import example_lines
from flyball.core import BadInput, Refused, format_timestamp, parse_timestamp

_NAME = re.compile(r"\A[a-z][a-z0-9_-]{0,40}\Z")

APPLICATION = '''"""{title}: recommends items to visitors from what they view and buy."""

from typing import Annotated

import flyball as fb

# Keys: what names a visitor and an item. Malformed ones never get in.
Visitor = Annotated[int, fb.Ref("visitor"), fb.integer(1, 999_999_999)]
Item = Annotated[str, fb.Ref("item"), fb.text(pattern=r"\\A[a-z0-9-]+\\Z", max_length=60)]


class View(fb.Event):
    """A visitor looks at an item."""

    visitor: Visitor
    item: Item


class Buy(fb.Event):
    """A visitor buys an item."""

    visitor: Visitor
    item: Item
    price: Annotated[float, fb.real(0, 100_000)]


class ItemCard(fb.Profile):
    """What is known about an item, from its time on."""

    item: Item
    category: str | None = None


visitor = fb.Entity("visitor")
item = fb.Entity("item", profile=ItemCard)

app = fb.App(
    "{name}",
    events=[View, Buy],
    task=fb.Recommend(
        visitor,
        item,
        positive=fb.outcome(Buy, within="7d"),  # what counts as success
        weak_positive=fb.outcome(View, within="7d"),  # weaker evidence of taste
        k=10,
        deadline="300ms",
    ),
    # Candidates are trained side by side and evaluated on the same held-out time; add your own model here.
    candidates={{"popular": fb.Popular(), "item_knn": fb.ItemKNN(), "ease": fb.EASE()}},
    choose=fb.cheapest_within_noise("ndcg@10"),
    retrain=[fb.every("1d")],
    # Simulated visitors with hidden tastes: flyball simulate {file} --days 3, or flyball up {file} --world
    world=fb.world("shop", view=View, buy=Buy, card=ItemCard),
)
'''

KINDS = ("recommend", "predict")
TARGETS: dict[str, tuple[str, int, dict[str, int]]] = {
    "number": (PREDICT_APPLICATION, 30, {"repairs_a_day": 100}),
    "probability": (DECIDE_APPLICATION, 50, {"orders_a_day": 80, "settled_days": 8}),
}
"""What a task of the kind "predict" may predict: the application, the days of its world and their settings."""
_KINDS = ["garden", "kitchen", "music", "sport", "toys"]


def write_project(name: str, folder: Path, kind: str = "recommend", target: str | None = None) -> list[Path]:
    """Write `NAME.py` and `NAME-events.jsonl` into `folder`; never over a file that is there.

    `kind`: of task, "recommend" or "predict"; `target`: of the latter, "number" (the default) or "probability", with a
    decision by costs. Raises `BadInput`, `Refused`.
    """
    if kind not in KINDS:
        raise BadInput("kind", f"one of {', '.join(KINDS)}", kind)
    if target is not None and (kind != "predict" or target not in TARGETS):
        must = f"one of {', '.join(TARGETS)}, of the kind predict"
        raise BadInput("target", must, target if kind == "predict" else f"{target} of the kind {kind}")
    if not _NAME.match(name):
        raise BadInput("name", "lower-case letters, digits, - and _, starting with a letter", name)
    paths = [folder / f"{name.replace('-', '_')}.py", folder / f"{name}-events.jsonl"]
    for path in paths:
        if path.exists():
            raise Refused(f"{path} must not exist yet, got a file; choose another name or folder")
    folder.mkdir(parents=True, exist_ok=True)
    title = name.replace("_", " ").replace("-", " ").capitalize()
    application, days, settings = TARGETS[target or "number"] if kind == "predict" else (APPLICATION, 0, {})
    paths[0].write_text(application.format(name=name, file=paths[0].name, title=title))
    if kind == "predict":
        paths[1].write_bytes(example_lines(paths[0], days, **settings))
    else:
        paths[1].write_text("".join(json.dumps(event) + "\n" for event in example_events(random.Random(1))))
    return paths


def example_events(rng: random.Random, visitors: int = 120, items: int = 60) -> list[dict[str, object]]:
    """Sixty days of a made-up shop in time order: each visitor keeps to one or two kinds of items."""
    start = parse_timestamp("2026-01-01")
    day = 86_400_000_000
    cards: list[dict[str, object]] = [
        {
            "type": "itemcard",
            "at": format_timestamp(start),
            "item": f"{_KINDS[n % 5]}-{n:02d}",
            "category": _KINDS[n % 5],
        }
        for n in range(items)
    ]
    acts = []
    for visitor in range(1, visitors + 1):
        favorite = rng.randrange(5)
        for _ in range(rng.randrange(4, 30)):
            kind = favorite if rng.random() < 0.8 else rng.randrange(5)
            number = kind + 5 * min(int(rng.expovariate(0.35)), items // 5 - 1)
            at = start + rng.randrange(60 * day)
            act: dict[str, object] = {"visitor": visitor, "item": f"{_KINDS[kind]}-{number:02d}"}
            acts.append((at, {"type": "view", **act}))
            if rng.random() < 0.4:
                price = round(rng.uniform(2, 90), 2)
                acts.append((at + rng.randrange(60, 3600) * 1_000_000, {"type": "buy", **act, "price": price}))
    acts.sort(key=lambda pair: pair[0])
    return cards + [{**act, "at": format_timestamp(at // 1_000_000 * 1_000_000)} for at, act in acts]
