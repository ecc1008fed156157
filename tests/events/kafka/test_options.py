"""What a `kafka://` URL may say; needs no broker."""

import subprocess
import sys
from pathlib import Path

import pytest

from flyball.core import BadSetting, parse_url
from flyball.events.kafka.options import read_options


def test_servers_topic_and_options_are_read() -> None:
    options = read_options(parse_url("kafka://a:9092,b:9093/shop.events?partitions=8&timeout_ms=700&index=/srv/i"))
    assert (options.servers, options.topic, options.partitions) == ("a:9092,b:9093", "shop.events", 8)
    assert (options.timeout_s, options.index, options.unique) == (0.7, Path("/srv/i"), True)
    assert options.client == {"bootstrap.servers": "a:9092,b:9093"}


def test_a_user_means_sasl_and_a_certificate_tls(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    options = read_options(parse_url(f"kafka://ann:s3%40cret@a:9092/events?ca={ca}"))
    assert options.client["security.protocol"] == "sasl_ssl"
    assert (options.client["sasl.username"], options.client["sasl.password"]) == ("ann", "s3@cret")
    assert options.shown == "kafka://a:9092/events"
    plain = read_options(parse_url("kafka://ann:x@a:9092/events?sasl=plain"))
    assert (plain.client["security.protocol"], plain.client["sasl.mechanism"]) == ("sasl_plaintext", "PLAIN")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("kafka://a:9092", "must name servers and a topic"),
        ("kafka:///events", "must name servers and a topic"),
        ("kafka://ann:s3cret@a:9092/two words", "got kafka://a:9092/two words"),
        ("kafka://a/t?partition=4", "option of kafka:// must be one of partitions, .*, got 'partition'"),
        ("kafka://a/t?partitions=0", "option partitions of kafka:// must be 1 to 1024, got 0"),
        ("kafka://a/t?timeout_ms=1", "option timeout_ms of kafka:// must be at least 100, got 1"),
        ("kafka://a/t?removed=ignore", "option removed of kafka:// must be one of refuse, skip, got 'ignore'"),
        ("kafka://a/t?known_at=me", "option known_at of kafka:// must be one of broker, writer, got 'me'"),
        ("kafka://a/t?sasl=plain", "option sasl of kafka:// must come with a user"),
        ("kafka://ann@a/t?sasl=oauth", "option sasl of kafka:// must be one of plain, scram-sha-256, scram-sha-512"),
        ("kafka://a/t?ca=/no/such/file", "option ca of kafka:// must be a file, got /no/such/file"),
    ],
)
def test_what_cannot_be_used_is_refused(url: str, message: str) -> None:
    with pytest.raises(BadSetting, match=message) as refused:
        read_options(parse_url(url))
    assert "s3cret" not in str(refused.value)


def test_without_the_package_one_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['confluent_kafka'] = None\n"
        "from flyball.core import BadSetting; from flyball.events import open_log\n"
        "try: open_log('kafka://a/t')\nexcept BadSetting as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == 'kafka:// must be installed first: pip install "flyball[kafka]"\n'
