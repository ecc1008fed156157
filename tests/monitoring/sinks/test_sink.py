"""Sinks by URL: mistakes are named without their secrets."""

import re

import pytest

from flyball.core import BadSetting, UnknownBackend
from flyball.monitoring import SINKS
from flyball.monitoring.sinks.sink import open_sinks, parse_sink

SLACK = "slack+https://hooks.slack.com/services/T1/B2/s3cret"


def test_a_url_in_parts() -> None:
    address = parse_sink("smtp://ann:s%40cret@mail.example.org:2525?from=a@b.c&to=d@e.f&severity=high&timeout=2s")
    assert (address.name, address.host, address.port, address.user) == ("mail", "mail.example.org", 2525, "ann")
    assert (address.password, address.severity, address.timeout_s) == ("s@cret", "high", 2.0)
    assert address.options == {"from": "a@b.c", "to": "d@e.f"}


def test_without_a_setting_messages_go_to_the_log() -> None:
    assert [(sink.address.name, sink.shown) for sink in open_sinks(())] == [("log", "log://")]


def test_names_are_those_of_the_scheme_or_chosen() -> None:
    urls = [SLACK, f"{SLACK}2?name=second", "log://", "alertmanager+http://localhost:9093", "smtps://h?from=a@b&to=c@d"]
    assert [sink.address.name for sink in open_sinks(urls)] == ["slack", "second", "log", "alertmanager", "mail"]


@pytest.mark.parametrize("scheme", SINKS)
def test_every_scheme_is_opened_without_connecting(scheme: str) -> None:
    (sink,) = open_sinks(
        [f"{scheme}://localhost/x?from=a@b.c&to=d@e.f" if "smtp" in scheme else f"{scheme}://localhost"]
    )
    assert sink.address.scheme == scheme


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        (
            [SLACK, SLACK],
            "names of sinks must differ, got slack twice: add ?name=... to slack+https://hooks.slack.com/***",
        ),
        ([f"{SLACK}?shade=red"], "option of sink slack must be one of name, severity, timeout, ca, got shade"),
        ([f"{SLACK}?severity=some"], "must be low or high, got 'some'"),
        (["log://?severty=high"], "option of sink log must be one of name, severity, timeout, ca, got severty"),
        ([f"{SLACK}?timeout=0s"], "must be longer than 0, such as 5s, got 0s"),
        ([f"{SLACK}?timeout=soon"], "timeout must be numbers with units"),
        ([f"{SLACK}:x"], None),
        (["slack+https:///services/s3cret"], "sink slack must name a host"),
        (["hooks.slack.com/s3cret"], "sink must look like log://, slack+https://"),
        (["http://x:notaport/s3cret"], "sink must be a URL, got http://x:notaport/***"),
        (["smtp://u:s3cret@h?from=a@b.c"], "to of sink mail must be an e-mail address, got ''"),
        (["smtp://u:s3cret@h?from=ann&to=a@b.c"], "from of sink mail must be an e-mail address, got 'ann'"),
        (["smtp://u:s3cret@h?from=a@b.c&to=d@e.f&tls=none"], "sink mail must be encrypted to have a password"),
        (["smtp://h?from=a@b.c&to=d@e.f&tls=maybe"], "tls of sink mail must be starttls or none, got 'maybe'"),
    ],
)
def test_mistakes_are_named_without_secrets(urls: list[str], message: str | None) -> None:
    if message is None:
        open_sinks(urls)
        return
    with pytest.raises(BadSetting, match=re.escape(message)) as raised:
        open_sinks(urls)
    assert "s3cret" not in str(raised.value)


def test_an_unknown_scheme_lists_those_there_are() -> None:
    with pytest.raises(UnknownBackend, match="sink URL must start with one of alertmanager"):
        open_sinks(["pager://x"])
