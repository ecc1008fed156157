"""What a `kafka://` URL says, and the configuration of the client that follows from it."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from flyball.core import BadSetting, Url

_CONNECTION = ("timeout_ms", "tls", "ca", "certificate", "key_file", "sasl", "password_file")
_KNOWN = ("partitions", "replication", "unique", "removed", "known_at", "compression", "index", *_CONNECTION)
_KNOWN_OF_TOPIC = ("group", *_CONNECTION)
MOST_PARTITIONS = 1_024
_SASL = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_COMPRESSION = ("none", "gzip", "snappy", "lz4", "zstd")
_TOPIC_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class KafkaOptions(msgspec.Struct, frozen=True):
    """The address and the options of a log; see the reference of settings.

    `partitions`: None where the URL does not say. `removed`: whether to read past records that retention removed.
    `known_at`: whose clock says when a live event became known. `index`: the folder of the ids on this machine.
    `client`: what the client library is configured with, secrets included.
    """

    servers: str
    topic: str
    partitions: int | None
    replication: int
    unique: bool
    timeout_s: float
    removed: Literal["refuse", "skip"]
    known_at: Literal["broker", "writer"]
    compression: str
    index: Path
    client: dict[str, Any]

    @property
    def shown(self) -> str:
        """The address without user, password and options."""
        return f"kafka://{self.servers}/{self.topic}"


def read_topic_options(url: Url) -> KafkaOptions:
    """The options of a topic of which only lines are read; raises `BadSetting`."""
    return read_options(url, _KNOWN_OF_TOPIC)


def read_options(url: Url, known: tuple[str, ...] = _KNOWN) -> KafkaOptions:
    """Read `kafka://[user[:password]@]host:port[,host:port]/topic?option=value`; raises `BadSetting`."""
    servers, _, topic = url.address.partition("/")
    if not servers or not topic or len(topic) > 240 or not _TOPIC_LETTERS.issuperset(topic):
        raise BadSetting(
            "kafka:// must name servers and a topic of letters, digits, dots, dashes and underscores, such as "
            f"kafka://127.0.0.1:9092/events, got kafka://{url.address}"
        )
    url.check_options(known)
    timeout_ms = url.integer("timeout_ms", 5_000)
    if timeout_ms < 100:
        raise BadSetting(f"option timeout_ms of kafka:// must be at least 100, got {timeout_ms}")
    partitions = url.integer("partitions", 4) if "partitions" in url.options else None
    if partitions is not None and not 1 <= partitions <= MOST_PARTITIONS:
        raise BadSetting(f"option partitions of kafka:// must be 1 to 1024, got {partitions}")
    removed = _choice(url, "removed", ("refuse", "skip"))
    known_at = _choice(url, "known_at", ("broker", "writer"))
    index = url.options.get("index")
    return KafkaOptions(
        servers,
        topic,
        partitions,
        url.integer("replication", -1) if "replication" in url.options else -1,
        url.integer("unique", 1) != 0,
        timeout_ms / 1_000,
        removed,  # type: ignore[arg-type]
        known_at,  # type: ignore[arg-type]
        _choice(url, "compression", _COMPRESSION),
        Path.home() / ".cache" / "flyball" / "kafka" if index is None else Path(index),
        {"bootstrap.servers": servers, **_security(url)},
    )


def _choice(url: Url, name: str, choices: tuple[str, ...]) -> str:
    value = url.options.get(name, choices[0])
    if value not in choices:
        raise BadSetting(f"option {name} of kafka:// must be one of {', '.join(choices)}, got {value!r}")
    return value


def _security(url: Url) -> dict[str, Any]:
    """TLS by the options tls, ca, certificate and key_file; SASL where the URL names a user."""
    tls = url.integer("tls", 0) != 0 or any(name in url.options for name in ("ca", "certificate", "key_file"))
    files = {"ca": "ssl.ca.location", "certificate": "ssl.certificate.location", "key_file": "ssl.key.location"}
    config: dict[str, Any] = {files[name]: _file(url, name) for name in files if name in url.options}
    if not url.user:
        if "sasl" in url.options:
            raise BadSetting("option sasl of kafka:// must come with a user, such as kafka://ann@host:9092/events")
        return {**config, "security.protocol": "ssl"} if tls else config
    password = url.read_password()
    mechanism = url.options.get("sasl", "scram-sha-512").upper()
    if mechanism not in _SASL:
        choices = ", ".join(_SASL).lower()
        raise BadSetting(f"option sasl of kafka:// must be one of {choices}, got {mechanism.lower()!r}")
    config |= {"sasl.mechanism": mechanism, "sasl.username": url.user, "sasl.password": password}
    return {**config, "security.protocol": "sasl_ssl" if tls else "sasl_plaintext"}


def _file(url: Url, name: str) -> str:
    path = url.options[name]
    if not Path(path).is_file():
        raise BadSetting(f"option {name} of kafka:// must be a file, got {path}")
    return path
