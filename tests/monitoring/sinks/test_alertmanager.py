"""The Alertmanager sink: labels that stay the same, and an end when the incident is over."""

from tests.monitoring.incidents.world import DAY, HOUR, START, incident
from tests.monitoring.sinks.servers import Posts, running

from flyball.monitoring.incidents.notification import Notification, notification_of
from flyball.monitoring.sinks.alertmanager import alertmanager_alerts
from flyball.monitoring.sinks.sink import open_sinks


def test_it_fires_until_the_incident_is_over() -> None:
    (fires,) = alertmanager_alerts(notification_of("opened", incident(severity="high"), START + HOUR, ["more"]))
    assert fires["labels"] == {
        "alertname": "FlyballIncident",
        "application": "shop",
        "incident": "inc1",
        "severity": "high",
        "source": "events.Buy",
    }
    assert fires["annotations"]["summary"] == "inc1 opened: t"
    assert (fires["startsAt"], fires["endsAt"]) == ("2026-01-05T00:00:00Z", "2026-02-04T01:00:00Z")
    (over,) = alertmanager_alerts(notification_of("over", incident(severity="high", over_us=START), START + DAY))
    assert (over["labels"], over["endsAt"]) == (fires["labels"], "2026-01-06T00:00:00Z")
    (closed,) = alertmanager_alerts(notification_of("closed", incident("closed", severity="high"), START + DAY))
    assert closed["endsAt"] == "2026-01-06T00:00:00Z"


def test_a_raised_severity_ends_the_alert_of_before() -> None:
    alerts = alertmanager_alerts(notification_of("raised", incident(severity="high"), START + HOUR))
    assert [(alert["labels"]["severity"], alert["endsAt"]) for alert in alerts] == [
        ("high", "2026-02-04T01:00:00Z"),
        ("low", "2026-01-05T01:00:00Z"),
    ]


def test_a_digest_is_no_alert() -> None:
    assert alertmanager_alerts(Notification(kind="digest", app="shop", at_us=START, title="t")) == []


def test_it_posts_to_the_api_with_a_password() -> None:
    server = Posts()
    with running(server):
        (sink,) = open_sinks([f"alertmanager+http://ann:pw@127.0.0.1:{server.port}/am/"])
        sink.sink.send(notification_of("opened", incident(), START))
    ((path, (alert,), headers),) = server.posts
    assert (path, alert["labels"]["incident"]) == ("/am/api/v2/alerts", "inc1")
    assert headers["authorization"] == "Basic YW5uOnB3"
