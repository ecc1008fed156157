"""Groups of users: as known at each request, refused where they are no attributes, and a planted gap is found."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, answer

import flyball as fb
from flyball.core import BadDeclaration, ManualClock
from flyball.events import Schema
from flyball.learning import learn
from flyball.monitoring import fairness_report
from flyball.monitoring.fairness.observed import observe_fairness
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings
from flyball.tasks.recommend.user_groups import user_groups

User = Annotated[int, fb.Ref("user")]
Item = Annotated[str, fb.Ref("item")]


class Card(fb.Profile):
    user: User
    country: str | None = None
    plan: Literal["free", "paid"] = "free"
    age: float = 0.0
    tags: list[str] = []


class Buy(fb.Event):
    user: User
    item: Item


def task_of(**named: Any) -> fb.Recommend:
    user = fb.Entity("user", profile=Card)
    return fb.Recommend(user, fb.Entity("item"), positive=fb.outcome(Buy, within="1d"), **named)


@pytest.mark.parametrize(
    "groups", ["country", ("age",), ("tags",), ("user",), ("plan", "plan"), 5, ("nope",), ["plan"]]
)
def test_only_attributes_with_limited_values_can_be_groups(groups: Any) -> None:
    with pytest.raises(BadDeclaration, match="groups of Recommend must be a tuple of attributes.*: country, plan, got"):
        task_of(groups=groups)
    with pytest.raises(BadDeclaration, match="each once: it has none, got"):
        fb.Recommend(fb.Entity("user"), fb.Entity("item"), positive=fb.outcome(Buy, within="1d"), groups=("plan",))


def test_the_plan_compares_groups_by_the_accuracy_of_lists() -> None:
    task = task_of(groups=("country", "plan"), k=7)
    plan = task.offline().plan()
    assert task.about.groups == plan.groups == ("country", "plan")
    assert plan.grouped == ("ndcg@7", "recall@7", "hit_rate@7")
    assert {"country", "plan"} <= plan.slices.keys()
    assert task_of().offline().plan().groups == ()


def test_groups_are_those_of_the_latest_profile_known_before_each_request() -> None:
    """Against a loop over all profiles; the second profile of user 1 happened at 5 and became known at 9."""
    rows = [(1, "de", 1, 1), (2, "", 2, 2), (1, "fr", 5, 9), (3, None, 3, 3), (3, "it", 3, 4)]
    frame = pl.DataFrame(
        {
            "user": [row[0] for row in rows],
            "country": [row[1] for row in rows],
            "at": [row[2] for row in rows],
            "known_at": [row[3] for row in rows],
            "offset": range(len(rows)),
            "partition": [0] * len(rows),
        }
    )
    schema, user = Schema([Card, Buy]), fb.Entity("user", profile=Card)
    users = ["1", "1", "1", "2", "3", "3", "4", "1"]
    before = np.array([1, 2, 9, 50, 4, 5, 50, 10], np.int64)
    groups = user_groups({"card": frame}, user, schema, ("country",), users, before)["country"]
    expected = []
    for key, before_us in zip(users, before.tolist(), strict=True):
        known = [row for row in rows if str(row[0]) == key and row[3] < before_us]
        latest = max(enumerate(known), key=lambda pair: (pair[1][2], pair[0]))[1][1] if known else None
        expected.append(latest or None)
    assert groups == expected == [None, "de", "de", None, None, "it", None, "fr"]
    assert user_groups({}, user, schema, ("country",), users, before) == {"country": [None] * 8}
    assert user_groups({"card": frame}, user, schema, (), users, before) == {}


DAYS, DAILY = 8, 60
RATES = {"de": 0.6, "fr": 0.3}


def shop(folder: Path, rates: dict[str, float], gap: float | None = None) -> Runtime:
    """Lists of three items to users of two countries, of which something is bought with the rate of the country."""
    gates = fb.gates() if gap is None else fb.gates(max_gap={"hit_rate@3/country": gap})
    app = fb.App(
        "shop",
        events=[Card, Buy],
        task=task_of(groups=("country",), k=3),
        candidates={"popular": fb.Popular()},
        gates=gates,
    )
    runtime = Runtime(app, load_settings(folder), ManualClock(START_US + DAYS * DAY_US))
    events, answers, check = [], [], runtime.schema.check
    for user in range(1, 1 + DAYS * DAILY):
        country = "de" if user % 3 else "fr"
        at_us = START_US + user * (DAY_US // DAILY)
        events.append(check("card", {"user": user, "country": country}, START_US, START_US))
        lists = {"items": ["a", "b", "c"], "scores": [3.0, 2.0, 1.0], "sources": ["model"] * 3}
        request = {"user": user, "k": 3, "context": None, "without": []}
        answers.append(answer(at_us, user, str(user), "recommendrequest", request, **lists))
        bought = "b" if user // 3 % 10 < 10 * rates[country] else f"x{user % 40}"
        events.append(check("buy", {"user": user, "item": bought}, at_us + 9, at_us + 9))
    runtime.log.append(sorted(events, key=lambda event: event.at))
    runtime.predictions.append(answers)
    catch_up(runtime)
    return runtime


def test_the_country_from_whose_lists_less_is_taken_is_found_live(tmp_path: Path) -> None:
    report = fairness_report(shop(tmp_path, RATES), days=DAYS)
    (comparison,) = report.compared
    gap = comparison.largest["hit_rate"]
    assert (gap.high_group, gap.low_group, gap.certain) == ("de", "fr", True)
    assert gap.difference.low is not None
    assert gap.difference.high is not None
    assert gap.difference.low < 0.3 < gap.difference.high
    alike = fairness_report(shop(tmp_path / "alike", dict.fromkeys(RATES, 0.5)), days=DAYS)
    assert not alike.compared[0].largest["hit_rate"].certain


def test_the_monitor_of_groups_sees_it_too(tmp_path: Path) -> None:
    runtime = shop(tmp_path, RATES)
    end_us = START_US + (DAYS - 1) * DAY_US
    seen = observe_fairness(runtime, since_us=end_us - 5 * DAY_US, until_us=end_us)
    (hit_rate,) = [look for look in seen if look.subject == "positive.hit_rate/country=fr"]
    assert hit_rate.matters
    assert hit_rate.e_value > 20


def test_a_version_whose_gap_is_too_large_is_refused_by_its_gate(tmp_path: Path) -> None:
    """The popular list holds b, which the French buy half as often; all others buy what is in no list."""
    refused = learn(shop(tmp_path, {"de": 0.9, "fr": 0.1}, gap=0.2), workers=1)
    assert refused.champion is None
    gates = [gate for candidate in refused.candidates for gate in candidate.gates if "country" in str(gate)]
    assert gates
    assert any("hit_rate@3 differs most between country=de (more) and country=fr" in str(gate) for gate in gates)
