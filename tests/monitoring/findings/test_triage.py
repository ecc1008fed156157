"""Triage: planted causes are named, and what nothing explains stays as its monitor said."""

import pytest
from msgspec.structs import replace

from flyball.monitoring import Finding
from flyball.monitoring.findings.triage import TriageContext, table_of, triage, triage_context

HOUR_US = 3_600_000_000
NONE = TriageContext()


def shift(subject: str, medians: list[float] | None = None, monitor: str = "shift", distance: float = 0.9) -> Finding:
    evidence: dict[str, object] = {"distance": distance, **({} if medians is None else {"medians": medians})}
    return Finding(monitor, subject, 10 * HOUR_US, 9 * HOUR_US, "low", "it changed", "unknown", evidence)


def likely(findings: list[Finding], context: TriageContext = NONE) -> list[str]:
    return [finding.evidence.get("likely", "") for finding in triage(findings, context)]


@pytest.mark.parametrize(
    ("medians", "reason"),
    [
        ([19.9, 1_990.0], "the values are 100 times the usual ones"),
        ([19.9, 1_700.0], "the values are 100 times the usual ones"),
        ([2_000.0, 2.1], "the values are 1/1,000 of the usual ones"),
        ([19.9, 40.0], ""),
        ([19.9, 21.0], ""),
        ([0.0, 100.0], ""),
        ([-3.0, 300.0], ""),
        (None, ""),
    ],
)
def test_a_change_of_unit_is_named(medians: list[float] | None, reason: str) -> None:
    (said,) = likely([shift("events.Buy.price", medians)])
    assert said.startswith(reason)
    assert bool(said) == bool(reason)


def test_a_table_that_changed_as_one_has_one_source() -> None:
    findings = [shift(f"events.Buy.{name}") for name in ("price", "country", "note")]
    assert likely(findings) == ["3 columns of events.Buy changed in most rows at once, so their source did"] * 3
    assert likely(findings[:2]) == ["", ""]
    partly = [shift(f"events.Buy.{name}", distance=0.3) for name in ("price", "country", "note")]
    assert likely(partly) == ["", "", ""]  # the world moves part of the rows


def test_predictions_that_changed_with_a_release_are_its_doing() -> None:
    finding = shift("predictions.top_score")
    released = TriageContext("v3", 9 * HOUR_US + 60_000_000)
    assert likely([finding], released) == ["v3 became the champion at 1970-01-01T09:01:00Z"]
    assert likely([finding], TriageContext("v3", 5 * HOUR_US)) == [
        "no input changed, so the model, its features or its service did"
    ]
    assert likely([finding, shift("events.Buy.price")], NONE) == ["", ""]


def test_a_loss_that_rose_with_a_release_is_its_doing_unless_inputs_changed_too() -> None:
    loss = Finding("performance", "delivery", 10 * HOUR_US, 9 * HOUR_US, "high", "it is worse", "unknown")
    released = replace(NONE, champion="v3", champion_since_us=9 * HOUR_US + 60_000_000)
    (said,) = triage([loss], released)
    assert (said.origin, said.evidence["likely"]) == ("own", "v3 became the champion at 1970-01-01T09:01:00Z")
    assert likely([loss], replace(released, champion_since_us=5 * HOUR_US)) == [""]  # long before
    asked = replace(released, inputs=("events.Buy",))
    assert likely([loss, shift("events.Buy.price")], asked) == ["", ""]
    assert (
        likely([loss, shift("events.Declined.price")], asked)[0] == said.evidence["likely"]
    )  # it follows from answers
    assert likely([loss], replace(released, world_since_us=8 * HOUR_US)) == [""]  # learned after the world changed


def test_answers_that_follow_outcomes_are_no_fault_of_our_own() -> None:
    """A concept shift moves features of past outcomes, and answers by them, before enough is known of the outcomes."""
    finding = shift("predictions.top_score")
    assert likely([finding], replace(NONE, moved={"outcomes.delivery": 10 * HOUR_US})) == [""]
    assert likely([finding], replace(NONE, moved={"outcomes.delivery": 8 * HOUR_US})) != [""]  # before it
    assert likely([finding]) == ["no input changed, so the model, its features or its service did"]


def test_a_world_that_changed_in_the_round_of_the_release_was_not_learned_from() -> None:
    loss = Finding("performance", "delivery", 10 * HOUR_US, 9 * HOUR_US, "high", "it is worse", "unknown")
    assert triage_context([loss], "v3", 9 * HOUR_US, earlier=[]).world_since_us is None
    assert triage_context([loss], "v3", 9 * HOUR_US, earlier=[loss]).world_since_us == 9 * HOUR_US
    ours = replace(loss, origin="own")  # as it was said in the round before
    assert triage_context([loss], "v3", 9 * HOUR_US, earlier=[ours]).world_since_us is None


def test_a_champion_that_was_learned_after_the_world_changed_follows_it() -> None:
    world = Finding("performance", "delivery", 8 * HOUR_US, 7 * HOUR_US, "high", "it is worse", "unknown")
    finding = shift("predictions.top_score")
    context = triage_context([world, finding], "v3", 9 * HOUR_US + 60_000_000)
    assert context.world_since_us == 7 * HOUR_US
    assert likely([finding, world], context) == ["", ""]
    ours = triage_context([replace(world, origin="own"), finding], "v3", 9 * HOUR_US + 60_000_000)
    assert likely([finding], ours)[0].startswith("v3 became the champion")


def test_old_features_imputed_ones_and_fallbacks_are_our_own() -> None:
    consumer = Finding("consumer", "consumers.state", 10, 5, "high", "it stands still", "own")
    stalled = triage_context([consumer], "", None)
    assert likely([shift("features.card.amount_7d")], stalled) == ["consumers.state stands still, so features are old"]
    (said,) = likely([shift("predictions.value.eta")], stalled)
    assert said == "consumers.state stands still, so what answers are made from is old"
    assert likely([shift("features.card.amount_7d", monitor="missing-daily", distance=0.2)]) == [
        "answers read it as missing, so the model imputed it"
    ]
    (fallback,) = likely([shift("predictions.level")])
    assert fallback.startswith("versions could not answer, so a fallback did")


def test_what_no_rule_explains_stays_as_it_was() -> None:
    volume = Finding("volume", "events.Buy", 10, 5, "high", "no rows", "own")
    world = shift("events.Buy.price")
    assert triage([volume, world], NONE) == (volume, world)
    (explained,) = triage([shift("events.Buy.price", [1.0, 100.0])], NONE)
    assert explained.origin == "own"
    assert explained.message == (
        "it changed; likely our own: the values are 100 times the usual ones, as by a change of unit"
    )
    assert [table_of(shift(subject)) for subject in ("events.Buy.price.x", "predictions.level")] == [
        "events.Buy",
        "predictions",
    ]


def test_columns_that_changed_days_apart_or_were_seen_twice_are_not_one_source() -> None:
    names = ("price", "country", "note")
    apart = [replace(shift(f"events.Buy.{name}"), since_us=48 * day * HOUR_US) for day, name in enumerate(names)]
    assert likely(apart) == ["", "", ""]
    twice = [shift("events.Buy.price"), shift("events.Buy.price", monitor="missing"), shift("events.Buy.note")]
    assert likely(twice) == ["", "", ""]


def test_what_follows_answers_is_the_doing_of_the_release_that_changed_them() -> None:
    released = replace(NONE, champion="v3", champion_since_us=9 * HOUR_US + 60_000_000, inputs=("events.payment",))
    answers = shift("predictions.decision")
    fewer = Finding("volume", "events.verdict", 10 * HOUR_US, 9 * HOUR_US, "high", "fewer rows", "own")
    lost = replace(fewer, monitor="lost_events")
    said = triage([answers, fewer, lost, shift("events.verdict.fraud")], released)
    assert [finding.came_with_release for finding in said] == [True, True, False, True]
    assert [finding.came_with_release for finding in triage([fewer], released)] == [False]  # answers are as before
    asked = shift("events.payment.amount")
    assert not any(finding.came_with_release for finding in triage([answers, fewer, asked], released))
    assert not any(finding.came_with_release for finding in triage([answers, fewer], NONE))


def test_a_step_of_a_release_is_a_cause_too_and_one_long_before_is_none() -> None:
    answers = shift("predictions.decision")
    stepped = replace(NONE, champion="v3", champion_since_us=1, step="advance of release rel4", step_us=9 * HOUR_US)
    assert likely([answers], stepped) == ["advance of release rel4 at 1970-01-01T09:00:00Z"]
    slow = replace(answers, since_us=90 * 24 * HOUR_US, at_us=95 * 24 * HOUR_US)  # suspected for five days
    assert not triage([slow], replace(stepped, step_us=88 * 24 * HOUR_US))[0].came_with_release
    assert triage([slow], replace(stepped, step_us=89 * 24 * HOUR_US + 1))[0].came_with_release


def test_two_columns_in_each_others_place_are_our_own_fault() -> None:
    words = "columns km and amount are exchanged in all rows"
    findings = [shift(f"events.order.{name}", [2.0, 20.0]) for name in ("km", "amount")]
    exchanged = [replace(finding, evidence={**finding.evidence, "exchanged": words}) for finding in findings]
    assert likely(exchanged) == [words, words]
    assert {finding.origin for finding in triage(exchanged, NONE)} == {"own"}


def test_more_rows_where_rows_are_sent_twice_are_no_rush() -> None:
    more = Finding("volume", "events.order", 10, 9, "low", "many rows", "unknown")
    twice = Finding("sent_twice", "events.order", 10, 9, "high", "sent twice", "own")
    said = triage([more, twice], NONE)
    assert [finding.origin for finding in said] == ["own", "own"]
    assert said[0].evidence["likely"] == "rows of events.order are sent twice"
    assert triage([more], NONE) == (more,)


def test_what_follows_from_inputs_that_are_wrong_by_our_own_fault_is_our_own() -> None:
    context = replace(NONE, inputs=("events.order",))
    wrong = replace(shift("events.order.km", [2.0, 200.0]), subject="events.order.km")
    loss = Finding("performance", "delivery", 10 * HOUR_US, 9 * HOUR_US, "high", "it is worse", "unknown")
    said = triage([wrong, shift("predictions.value.eta"), shift("features.shop.queue"), loss], context)
    assert {finding.origin for finding in said} == {"own"}
    assert said[3].evidence["likely"] == "it follows from events.order.km, and what changed there is our own fault"
    by_the_world = triage([wrong, shift("events.order.items"), shift("predictions.value.eta"), loss], context)
    assert [finding.origin for finding in by_the_world] == ["own", "unknown", "unknown", "unknown"]
