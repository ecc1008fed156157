"""Which responses an event follows, and when a label holds, case by case."""

from itertools import permutations

import pytest

from flyball.events import Event
from flyball.outcomes.attribution import Attribution, Held, Impression, attribute, settle_label
from flyball.outcomes.reading import LabelEvent
from flyball.tasks import Label

WITHIN_US = 100
FIRST, SECOND, THIRD = (Impression(at, bytes([at]), f"v{at}", at) for at in (10, 50, 90))


class Seen(Event):
    pass


class Bought(Event):
    pass


class Returned(Event):
    pass


def label(name: str = "positive", at_least: int = 1, within_us: int = WITHIN_US) -> Label:
    return Label(name=name, event=Seen, by=("user",), at_least=at_least, within_us=within_us)


def event(at: int, labels: int = 0b1, *, ends: int = 0, value: int | None = None, seq: int = 0) -> LabelEvent:
    """An event that qualifies for the labels whose bits are set; `value`: of label 0, in millionths."""
    return LabelEvent(at, seq or at, "seen", labels, ends, () if value is None else ((0, value),))


def held(attributions: dict[tuple[int, bytes], Attribution], name: str = "positive") -> dict[int, int]:
    """{time of the response: since when the label holds for it}."""
    return {
        at: attribution.labels[name].at for (at, _), attribution in attributions.items() if name in attribution.labels
    }


def test_an_event_lies_in_every_window_that_holds_it_both_ends_included() -> None:
    for at, expected in ((9, []), (10, [10]), (49, [10]), (50, [10, 50]), (110, [10, 50, 90]), (111, [50, 90])):
        attributions, joined = attribute([FIRST, SECOND, THIRD], [event(at)], [(0, label())], once=False)
        assert sorted(at for at, _ in attributions) == expected
        assert joined == ({event(at)} if expected else set())


def test_what_completes_a_label_of_an_item_counts_for_the_first_response() -> None:
    both = [FIRST, SECOND]
    for at_least, ats, expected in (
        (1, [60], {10: 60}),
        (1, [20, 60], {10: 20, 50: 60}),
        (1, [60, 60], {10: 60}),  # two events at one time are one completion
        (1, [60, 61], {10: 60}),  # the second was completed by 60 too, whoever has it
        (2, [60, 105], {10: 105}),
        (2, [105, 140], {50: 140}),  # across the end of the first window
        (2, [20, 60, 105], {10: 60, 50: 105}),
        (3, [20, 60, 105, 140], {10: 105, 50: 140}),
        (2, [20, 140], {}),
    ):
        events = [event(at, seq=seq) for seq, at in enumerate(ats, 1)]
        attributions, _ = attribute(both, events, [(0, label(at_least=at_least))], once=True)
        assert held(attributions) == expected, (at_least, ats)


def test_a_label_of_a_request_holds_for_every_response() -> None:
    attributions, _ = attribute([FIRST, SECOND], [event(60)], [(0, label())], once=False)
    assert held(attributions) == {10: 60, 50: 60}


def test_labels_of_other_names_are_completed_apart() -> None:
    labels = [(0, label()), (1, label("adopted", within_us=20))]
    attributions, _ = attribute([FIRST, SECOND], [event(60, 0b11)], labels, once=True)
    assert (held(attributions), held(attributions, "adopted")) == ({10: 60}, {50: 60})


def test_what_a_first_response_did_not_get_is_left_to_the_second() -> None:
    """Another event ended the wait of the first before; that of the second had not begun."""
    events = [event(20, 0, ends=0b1), event(60)]
    attributions, _ = attribute([FIRST, SECOND], events, [(0, label())], once=True)
    assert held(attributions) == {50: 60}
    assert attributions[10, bytes([10])].censored == ("positive",)
    assert attributions[50, bytes([50])].censored == ()


def test_events_are_reported_within_the_longest_window_whether_they_qualify_or_not() -> None:
    labels = [(0, label(within_us=20)), (1, label("adopted"))]
    events = [event(20, 0), event(70, 0b1), event(111, 0b1)]
    (key, attribution), *others = attribute([FIRST], events, labels, once=True)[0].items()
    assert not others
    assert key == (10, bytes([10]))
    assert attribution == Attribution("v10", 10, 20, 70, {"seen": 2}, {})


def test_a_closed_response_stands_as_it_is_stored_and_keeps_what_completed_it() -> None:
    """Its first event at 20 is forgotten: joined again it would be completed at 105, as the second is."""
    events, labels = [event(60), event(105)], [(0, label(at_least=2))]
    stored = Attribution("v10", 10, 20, 105, {"seen": 3}, {"positive": Held(60, 1_000_000)})
    first, second = (10, bytes([10])), (50, bytes([50]))
    assert held(attribute([FIRST, SECOND], events, labels, once=True)[0]) == {10: 105}
    attributions, joined = attribute([FIRST, SECOND], events, labels, once=True, closed={first: stored})
    assert held(attributions) == {10: 60, 50: 105}
    assert (attributions[first], joined) == (stored, set(events))
    attributions, _ = attribute([FIRST, SECOND], events, labels, once=True, closed={first: None})
    assert attributions.keys() == {second}


def test_without_responses_or_events_there_is_nothing() -> None:
    assert attribute([], [event(20)], [(0, label())], once=True) == ({}, set())
    assert attribute([FIRST], [], [(0, label())], once=True) == ({}, set())


def test_it_holds_since_the_event_that_completes_it() -> None:
    events = [event(at) for at in (10, 20, 30)]
    for at_least, expected in ((1, Held(10, 1_000_000)), (2, Held(20, 1_000_000)), (3, Held(30, 1_000_000))):
        assert settle_label([(0, label(at_least=at_least), events)]) == (expected, None)
    assert settle_label([(0, label(at_least=4), events)]) == (None, None)


def test_events_further_apart_than_the_span_do_not_complete_it() -> None:
    for last, expected in ((120, Held(120, 1_000_000)), (121, None)):
        assert settle_label([(0, label(at_least=2), [event(20), event(last)])]) == (expected, None)


def test_of_several_clauses_the_first_that_holds_counts() -> None:
    clauses = [
        (0, label(), [event(30)]),
        (1, label(), [event(20, 0b10)]),
        (2, label(at_least=2), [event(10, 0b100)]),
    ]
    for order in permutations(clauses):
        assert settle_label(order) == (Held(20, 1_000_000), None)


@pytest.mark.parametrize(("ended_at", "holds"), [(19, False), (20, True), (21, True)])
def test_what_ends_the_wait_must_come_before(ended_at: int, holds: bool) -> None:
    """At the same time the label holds."""
    ending = event(ended_at, 0, ends=0b1)
    events = sorted([event(20), ending], key=lambda one: one.at)
    assert settle_label([(0, label(), events)]) == ((Held(20, 1_000_000), None) if holds else (None, ended_at))


def test_an_event_counts_for_the_labels_that_it_qualifies_for_alone() -> None:
    """It ends the wait for one and qualifies for another."""
    both = [event(20, 0b10, ends=0b1)]
    assert settle_label([(0, label(), both)]) == (None, 20)
    assert settle_label([(1, label("adopted"), both)]) == (Held(20, 1_000_000), None)


def test_the_first_that_ends_the_wait_is_reported_where_nothing_holds() -> None:
    ends = [event(25, 0, ends=0b1), event(15, 0, ends=0b1), event(5, 0, ends=0b10)]
    assert settle_label([(0, label(), ends)]) == (None, 15)


def test_the_value_is_that_of_the_latest_event_that_has_one() -> None:
    """Of those at one time the last in the log; of other labels none."""
    events = [event(10, value=7), event(20, value=5, seq=2), event(20, value=3, seq=1), event(30, 0b11)]
    for order in permutations(events[:3]):
        assert settle_label([(0, label(), [*order, events[3]])])[0] == Held(order[0].at, 5)
    other = LabelEvent(40, 40, "seen", 0b11, 0, ((1, 9),))
    assert settle_label([(0, label(), [events[0], other])]) == (Held(10, 7), None)
    assert settle_label([(0, label(), [events[0]]), (1, label(), [other])]) == (Held(10, 9), None)


def test_a_clause_that_does_not_hold_gives_no_value() -> None:
    assert settle_label(
        [
            (0, label(at_least=2), [event(30, value=7)]),
            (1, label(), [LabelEvent(10, 10, "seen", 0b10, 0, ((1, 4),))]),
        ]
    ) == (Held(10, 4), None)
