"""The e-mail sink against a local server: encrypted or not, to whom, in one thread an incident."""

import pytest
from tests.monitoring.incidents.world import START, incident
from tests.monitoring.sinks.servers import PEM, Mails, running

from flyball.core import StoreUnavailable
from flyball.monitoring.incidents.notification import notification_of
from flyball.monitoring.sinks.sink import open_sinks

OPENED = notification_of(
    "opened", incident(title="half is\nmissing", severity="high"), START, ["more"], ["ann@x.org", "ben"]
)
ADDRESSES = f"from=flyball@x.org&to=ops@x.org,team@x.org&ca={PEM}"


def url(server: Mails, scheme: str = "smtp", user: str = "", options: str = "") -> str:
    return f"{scheme}://{user}localhost:{server.port}?{ADDRESSES}{options}"


@pytest.mark.parametrize(
    ("tls", "scheme", "options", "encrypted"),
    [("starttls", "smtp", "", True), ("tls", "smtps", "", True), ("none", "smtp", "&tls=none", False)],
)
def test_it_is_delivered_over_each_kind_of_connection(tls: str, scheme: str, options: str, encrypted: bool) -> None:
    server = Mails(tls)
    user = "ann:s%20cret@" if encrypted else ""
    with running(server):
        open_sinks([url(server, scheme, user, options)])[0].sink.send(OPENED)
    ((to, message, sent_by, was_encrypted),) = server.mails
    assert (sent_by, was_encrypted) == ("ann s cret" if encrypted else "", encrypted)
    assert to == ["ops@x.org", "team@x.org", "ann@x.org"]
    assert message["Subject"] == "[shop] inc1 opened: half is missing"
    assert message["From"] == "flyball@x.org"
    assert message["Date"] == "Mon, 05 Jan 2026 00:00:00 +0000"
    assert message["X-Priority"] == "1"
    text = message.get_payload()
    assert text.endswith("shop, severity high, since 2026-01-05T00:00:00Z\r\nmore\r\n")


def test_sent_twice_it_has_one_identifier_and_an_incident_is_one_thread() -> None:
    sink = open_sinks([f"smtp://h?{ADDRESSES}"])[0].sink
    closed = notification_of("closed", incident(), START)
    messages = [sink.message(notification) for notification in (OPENED, OPENED, closed)]  # type: ignore[attr-defined]
    assert messages[0]["Message-ID"] == messages[1]["Message-ID"] == "<flyball.shop.0@x.org>"
    assert {message["References"] for message in messages} == {"<flyball.shop.inc1@x.org>"}


def test_a_server_that_offers_no_encryption_gets_no_password() -> None:
    server = Mails("none")
    with running(server), pytest.raises(StoreUnavailable, match="STARTTLS extension not supported"):
        open_sinks([url(server, user="ann:s3cret@")])[0].sink.send(OPENED)
    assert server.mails == []


def test_what_is_refused_is_raised() -> None:
    server = Mails()
    server.refuses = "552 too large"
    with running(server), pytest.raises(StoreUnavailable, match="localhost must take the e-mail, got SMTPDataError"):
        open_sinks([url(server)])[0].sink.send(OPENED)
    with pytest.raises(StoreUnavailable, match="ConnectionRefusedError"):
        open_sinks([url(server)])[0].sink.send(OPENED)
