"""What people hear: the most severe first, and how many there are."""

from tests.monitoring.incidents.world import START, finding, incident

from flyball.monitoring.incidents.alert import Alert
from flyball.monitoring.incidents.notification import notification_of, title_of


def alert(**fields: object) -> Alert:
    seen = finding(**fields)  # type: ignore[arg-type]  # fields by name
    return Alert(fingerprint=seen.fingerprint, state="firing", first=seen, last=seen, looked_us=START, fired_us=START)


def test_one_finding_speaks_for_itself() -> None:
    assert title_of([alert(message="half of it is missing")]) == "half of it is missing"


def test_many_findings_are_counted_by_monitor_and_the_most_severe_is_shown() -> None:
    alerts = [alert(subject=f"events.Watch.f{index}") for index in range(2)]
    alerts.append(alert(subject="events.Watch.z", monitor="range", severity="high", message="worst"))
    assert title_of(alerts) == "3 findings in events.Watch (range 1, missing 2), first: worst"


def test_a_message_goes_to_the_owner_unless_it_names_others() -> None:
    owned = incident(owner="ann")
    assert notification_of("opened", owned, START).to == ("ann",)
    assert notification_of("overdue", owned, START, to=["ann", "ben"]).to == ("ann", "ben")
    assert notification_of("opened", incident(), START).to == ()
    assert notification_of("opened", owned, START, ["more"]).text == (
        "inc1 opened: t\nshop, severity low, since 2026-01-05T00:00:00Z\nmore"
    )
