"""Secrets in URLs are shown nowhere, whatever characters they have and wherever they stand."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flyball.core import BadSetting, Url, holds_secret, masked, masked_sink, parse_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("postgres://ann:p%40ss@db/flyball?sslmode=require", "postgres://ann:***@db/flyball?sslmode=require"),
        ("s3://bucket/path?secret_key=abc&region=x", "s3://bucket/path?secret_key=***&region=x"),
        ("redis://ann@cache/0", "redis://ann@cache/0"),
        ("sqlite:///srv/a.db?partitions=4", "sqlite:///srv/a.db?partitions=4"),
        ("not a url", "not a url"),
        ("redis:/ann:s3cret@cache", "***@cache"),
        ("redis://:s3/cret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("redis://ann:s3#cret@cache", "redis://ann:***@cache"),
        ("kafka://ann:s3?cret@[::1]:9092/t", "kafka://ann:***@[::1]:9092/t"),
        ("redis://ann:12/34@cache", "redis://ann:***@cache"),
        ("smtp://mail:587?from=ann@example.org", "smtp://mail:587?from=ann@example.org"),
        ("smtp://[::1]:587?from=ann@example.org", "smtp://[::1]:587?from=ann@example.org"),
        ("kafka://a:9092,b:9092/t", "kafka://a:9092,b:9092/t"),
        ("kafka://ann@a/t?key_file=/k.pem&password_file=/p", "kafka://ann@a/t?key_file=/k.pem&password_file=/p"),
        ("redis://[::1", "redis://[::1"),
    ],
)
def test_secrets_in_urls_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@given(st.text(st.characters(codec="ascii", exclude_characters="\t\r\n"), min_size=1))
def test_no_password_gets_out_of_a_url(password: str) -> None:
    """A marked password, raw in the URL: either it is read as it is, or the URL is refused; it is never shown."""
    assume(
        not re.match(r"(\d+|.*@[^/?#]*)(,[^/?#]*)?[/?#].*=", password, re.S)
    )  # may be a port, or a server, and an option such as from=ann@example.org
    url = f"redis://ann:{password}s3cret@cache:6379/0?name=shop"
    assert "s3cret" not in masked(url)
    assert "s3cret" not in masked_sink(url)
    assert holds_secret(url)
    try:
        read = repr(parse_url(url))
    except BadSetting as error:
        read = str(error)
    assert "s3cret" not in read


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("redis://ann@cache", False),
        ("redis://:p@cache", True),
        ("s3://bucket/path?secret_key=abc", True),
        ("kafka://ann@a/t?password_file=/run/secrets/kafka", False),
        ("postgresql://ann@db/x?sslkey=/k.pem&schema=shop", False),
        ("sqlite:///srv/a@b.db", False),
        ("log://", False),
    ],
)
def test_what_holds_a_secret(url: str, secret: bool) -> None:
    assert holds_secret(url) is secret


def test_the_path_of_a_webhook_is_a_secret() -> None:
    assert holds_secret("slack+https://hooks.slack.com/services/T1/B2", path_is_secret=True)
    assert not holds_secret("alertmanager+http://host:9093", path_is_secret=True)


def test_a_url_is_shown_without_its_password_in_a_traceback() -> None:
    assert repr(Url("redis", "ann:p@cache", {}, "ann", "p", "cache")) == "Url(redis://cache)"
