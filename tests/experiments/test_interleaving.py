"""An interleaved release in a world whose truth is planted: who is better, by what, and how places are looked at."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.experiments.market import ARMS, DAY_US, START_US, answer, register, release, shop

from flyball.cli import app as cli
from flyball.core import BadInput, ManualClock, Refused, new_id
from flyball.experiments import impact_ledger
from flyball.experiments.interleaving import credit_label, interleaving
from flyball.operations import ReleaseMetrics, catch_up
from flyball.outcomes import Exposure, Team
from flyball.policy import metric
from flyball.releases import INTERLEAVED, ReleaseArm
from flyball.runtime import Runtime, load_settings
from flyball.serving.answering.drafting import draft_of
from flyball.tasks import RankedItem, Request, Response

EXAMINED = (0.9, 0.45, 0.3)
"""How often each place is looked at, whatever stands there."""


def world(folder: Path, gains: tuple[float, ...], users: int = 900, arms: Any = ARMS, seed: int = 1) -> tuple[Any, Any]:
    """(a home, {arm: what was bought of its items}): each ranker has items of its own and a common one; an item that is
    looked at is bought with the chance that its ranker has."""
    draw, rng = np.random.default_rng(seed), random.Random(seed)
    end_us = START_US + 6 * DAY_US
    runtime = Runtime(
        shop({"bought": metric.label("positive", within="1d")}), load_settings(folder), ManualClock(end_us)
    )
    earned = dict.fromkeys((arm.name for arm in arms), 0)
    records, events = [], []
    for user in range(1, users + 1):
        at_us = START_US + int(draw.integers(0, 3 * DAY_US // 1_000_000)) * 1_000_000
        for number in range(2):
            at_us += number * 1_800_000_000
            lists = [[f"{arm.name}{number}0", f"common{number}", f"{arm.name}{number}1"] for arm in arms]
            ask = Request(new_id(at_us, rng), str(user), at_us, None)  # type: ignore[arg-type]
            drafted, teams = draft_of(
                ask, [Response(tuple(RankedItem(item, 1.0) for item in ranking)) for ranking in lists]
            )
            shown = [item.item for item in drafted.items]
            records.append(
                answer(
                    rng,
                    user,
                    at_us,
                    Exposure("rel1", INTERLEAVED, 1.0),
                    items=shown,
                    scores=[1.0] * len(shown),
                    sources=["model"] * len(shown),
                    teams=tuple(
                        Team(arm.name, arm.version or "v1", 0, ranking, ["model"] * 3)
                        for arm, ranking in zip(arms, lists, strict=True)
                    ),
                    drafted=list(teams),
                )
            )
            for place, (item, team) in enumerate(zip(shown, teams, strict=True)):
                if draw.random() < EXAMINED[place] * gains[team]:
                    earned[arms[team].name] += 1
                    bought = at_us + 60_000_000 * (place + 1)
                    fields = {"user": user, "item": item, "price": 5.0}
                    events.append(runtime.schema.check("buy", fields, bought, bought))
    runtime.log.append(events)
    runtime.predictions.append(records)
    interleaved = msgspec.structs.replace(
        release("interleave", success={"positive": 0.0}), state="interleave", arms=arms
    )
    register(runtime, interleaved)
    catch_up(runtime)
    return runtime, (interleaved, earned)


def test_the_better_ranker_wins_with_the_credit_that_its_items_earned(tmp_path: Path) -> None:
    runtime, (interleaved, earned) = world(tmp_path, (0.3, 0.5))
    found = interleaving(runtime, interleaved, runtime.clock.now_us())
    (ranker,) = found.rankers
    assert (found.units, found.waiting, found.lists, found.label) == (900, 0, 1_800, "positive")
    assert (ranker.credit, ranker.control_credit) == (earned["candidate"], earned["control"])
    assert (ranker.inference.verdict, ranker.inference.low > 0) == ("better", True)
    assert "it is preferred" in ranker.sentence
    ratio = next(row for row in found.position_bias if (row.position, row.below) == (0, 1))
    assert ratio.ratio == pytest.approx(EXAMINED[0] / EXAMINED[1], rel=0.25)
    early = interleaving(runtime, interleaved, START_US + DAY_US)
    assert (early.units, early.rankers[0].inference.verdict) == (0, "too early")
    evidence, blocked = ReleaseMetrics(runtime)(interleaved, runtime.clock.now_us())
    assert ([(one.arm, one.low) for one in evidence], blocked) == ([("candidate", ranker.inference.low)], "")


def test_equal_rankers_are_not_told_apart(tmp_path: Path) -> None:
    for seed in range(4):
        runtime, (interleaved, _) = world(tmp_path / str(seed), (0.4, 0.4), users=300, seed=seed)
        found = interleaving(runtime, interleaved, runtime.clock.now_us())
        assert found.rankers[0].inference.verdict == "undecided"
        assert "neither better nor worse may be concluded yet" in found.sentences[1]


def test_three_rankers_are_each_compared_with_control(tmp_path: Path) -> None:
    arms = (ReleaseArm("control"), ReleaseArm("worse", "v2"), ReleaseArm("better", "v3"))
    runtime, (interleaved, _) = world(tmp_path, (0.4, 0.1, 0.75), users=1_000, arms=arms)
    found = interleaving(runtime, interleaved, runtime.clock.now_us())
    assert [(one.arm, one.version, one.inference.verdict) for one in found.rankers] == [
        ("worse", "v2", "worse"),
        ("better", "v3", "better"),
    ]
    assert {one.inference.alpha for one in found.rankers} == {0.025}
    assert found.position_bias == ()


def test_what_it_says_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    runtime, (interleaved, _) = world(tmp_path, (0.3, 0.5), users=200)
    monkeypatch.setattr("flyball.cli.experiments.open_home", lambda *options: runtime)
    monkeypatch.setattr("flyball.cli.releases.open_home", lambda *options: runtime)
    for words in ("experiments show market rel1", "releases show market rel1"):
        with pytest.raises(SystemExit):
            cli(words.split())
        assert "v2 (candidate) earned" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli(["experiments", "show", "market", "rel1", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["rankers"][0]["inference"]["effect"] > 0
    assert document["position_bias"][0]["ratio"] > 1
    other = msgspec.structs.replace(interleaved, kind="ab")
    with pytest.raises(Refused, match="rel1 must be interleaved"):
        interleaving(runtime, other, runtime.clock.now_us())
    with pytest.raises(BadInput, match="credit must be a label of the task: positive"):
        credit_label(runtime.app.task.about, msgspec.structs.replace(interleaved, success={"liked": 0.0}))


def test_an_interleaved_release_has_the_preference_of_its_ranker(tmp_path: Path) -> None:
    runtime, _ = world(tmp_path, (0.2, 0.6), users=300)
    (row,) = impact_ledger(runtime, runtime.clock.now_us()).rows
    assert (row.kind, row.version, row.online_metric) == ("interleave", "v2", "preference by positive")
    assert (row.verdict, row.missing, row.units) == ("better", "", 300)
    assert row.measured is not None
    assert row.measured_low is not None
    assert 0 < row.measured_low < row.measured <= 1
