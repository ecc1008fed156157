"""The Slack sink: the form that Slack takes, over TLS too, and what is raised when it does not take it."""

import re

import pytest
from tests.monitoring.incidents.world import START, incident
from tests.monitoring.sinks.servers import PEM, Posts, running

from flyball.core import BadSetting, StoreUnavailable
from flyball.monitoring.incidents.notification import notification_of
from flyball.monitoring.sinks.sink import open_sinks
from flyball.monitoring.sinks.slack import slack_document

NOTIFICATION = notification_of("opened", incident(owner="ann"), START, ["a < b & c"])


def test_text_is_escaped_and_cut_to_what_slack_takes() -> None:
    document = slack_document(NOTIFICATION)
    assert document["text"] == "inc1 opened: t"
    header, section = document["blocks"]
    assert header == {"type": "header", "text": {"type": "plain_text", "text": "inc1 opened: t"}}
    assert section["text"]["text"].splitlines()[1:] == ["a &lt; b &amp; c", "for ann"]
    long = notification_of("opened", incident(title="x" * 500), START, ["y" * 9_000])
    header, section = slack_document(long)["blocks"]
    assert (len(header["text"]["text"]), len(section["text"]["text"])) == (150, 3_000)


def test_it_posts_to_the_path_of_the_webhook() -> None:
    server = Posts()
    with running(server):
        (sink,) = open_sinks([f"slack+http://127.0.0.1:{server.port}/services/T1"])
        sink.sink.send(NOTIFICATION)
        sink.sink.send(NOTIFICATION)
    assert [(path, document["text"]) for path, document, _ in server.posts] == [("/services/T1", "inc1 opened: t")] * 2
    assert server.posts[0][2]["x-flyball-notification"] == "shop-0"


def test_a_certificate_is_checked() -> None:
    server = Posts(secure=True)
    url = f"slack+https://localhost:{server.port}/x"
    with running(server):
        with pytest.raises(StoreUnavailable, match="localhost must answer, got SSLCertVerificationError"):
            open_sinks([url])[0].sink.send(NOTIFICATION)
        open_sinks([f"{url}?ca={PEM}"])[0].sink.send(NOTIFICATION)
    assert len(server.posts) == 1
    with pytest.raises(BadSetting, match="ca of sink slack must be a file of certificates, got /nowhere"):
        open_sinks([f"{url}?ca=/nowhere"])[0].sink.send(NOTIFICATION)


def test_what_is_not_taken_is_raised_without_the_path() -> None:
    server = Posts()
    server.status = 403
    url = f"slack+http://127.0.0.1:{server.port}/s3cret"
    with (
        running(server),
        pytest.raises(
            StoreUnavailable, match=re.escape("127.0.0.1 must accept the message, got 403 Forbidden: no_token")
        ),
    ):
        open_sinks([url])[0].sink.send(NOTIFICATION)
    with pytest.raises(StoreUnavailable, match="127.0.0.1 must answer, got ConnectionRefusedError") as raised:
        open_sinks([url])[0].sink.send(NOTIFICATION)
    assert "s3cret" not in str(raised.value)
