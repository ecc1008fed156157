"""Sinks, opened by URL: one table names them, the setting `sinks` lists those of an application."""

import ssl
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from flyball.core import BadInput, BadSetting, load_backend, parse_duration
from flyball.monitoring.incidents.notification import Notification
from flyball.settings import masked_sink

SINKS = {
    "log": "flyball.monitoring.sinks.log:LogSink",
    "slack+https": "flyball.monitoring.sinks.slack:SlackSink",
    "slack+http": "flyball.monitoring.sinks.slack:SlackSink",
    "smtp": "flyball.monitoring.sinks.mail:MailSink",
    "smtps": "flyball.monitoring.sinks.mail:MailSink",
    "alertmanager+https": "flyball.monitoring.sinks.alertmanager:AlertmanagerSink",
    "alertmanager+http": "flyball.monitoring.sinks.alertmanager:AlertmanagerSink",
}
"""{scheme: its class}."""

_COMMON = ("name", "severity", "timeout", "ca")


class SinkAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A sink's URL in parts. `name`: what it is called in lists; `severity`: the least that it gets; `timeout_s`: how
    long an attempt may take; `ca`: a file of certificates to trust, "" for those of the system; `secure`: whether the
    connection is encrypted from its start. `options`: those that are its own."""

    scheme: str
    name: str
    host: str = ""
    port: int | None = None
    path: str = ""
    user: str = ""
    password: str = ""
    severity: str = "low"
    timeout_s: float = 5.0
    ca: str = ""
    options: dict[str, str] = {}

    @property
    def secure(self) -> bool:
        return self.scheme.endswith("https") or self.scheme == "smtps"

    def tls(self) -> ssl.SSLContext:
        """How certificates are checked; raises `BadSetting` for a file that cannot be read."""
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as error:
            raise BadSetting(f"ca of sink {self.name} must be a file of certificates, got {self.ca}: {error}") from None


class Sink(Protocol):
    """One place to which notifications go."""

    def send(self, notification: Notification) -> None:
        """Deliver it; raises `StoreUnavailable` where that failed. It may be delivered twice, never lost."""
        ...


class NamedSink(msgspec.Struct, frozen=True):
    """A sink with its address; `shown`: its URL with secrets masked."""

    address: SinkAddress
    sink: Sink
    shown: str

    def wants(self, notification: Notification) -> bool:
        """Whether its severity is high enough for it."""
        return self.address.severity == "low" or notification.severity == "high"


def open_sinks(urls: Sequence[str]) -> list[NamedSink]:
    """The sinks at these URLs, without connecting; for none the log. Raises `BadSetting`, which shows no secret."""
    sinks: dict[str, NamedSink] = {}
    for url in urls or ("log://",):
        address = parse_sink(url)
        if address.name in sinks:
            raise BadSetting(
                f"names of sinks must differ, got {address.name} twice: add ?name=... to {masked_sink(url)}"
            )
        made = load_backend("sink", SINKS, address.scheme)(address)
        sinks[address.name] = NamedSink(address, made, masked_sink(url))
    return list(sinks.values())


def parse_sink(url: str) -> SinkAddress:
    """The parts of a sink's URL."""
    shown = masked_sink(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadSetting(f"sink must be a URL, got {shown}: {error}") from None
    if "://" not in url:
        raise BadSetting(f"sink must look like {', '.join(f'{scheme}://' for scheme in SINKS)}, got {shown!r}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    severity = options.get("severity", "low")
    if severity not in ("low", "high"):
        raise BadSetting(f"severity of sink {shown} must be low or high, got {severity!r}")
    try:
        timeout_us = parse_duration(options.get("timeout", "5s"), "timeout")
    except BadInput as error:
        raise BadSetting(f"sink {shown}: {error}") from None
    if not timeout_us:
        raise BadSetting(f"timeout of sink {shown} must be longer than 0, such as 5s, got {options['timeout']}")
    return SinkAddress(
        scheme=parts.scheme,
        name=options.get("name") or {"smtp": "mail", "smtps": "mail"}.get(parts.scheme, parts.scheme.partition("+")[0]),
        host=parts.hostname or "",
        port=port,
        path=parts.path,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        severity=severity,
        timeout_s=timeout_us / 1e6,
        ca=options.get("ca", ""),
        options={name: value for name, value in options.items() if name not in _COMMON},
    )


def check_options(address: SinkAddress, known: Sequence[str], needs_host: bool = True) -> None:
    """Raise `BadSetting` for a missing host or an unknown option."""
    if needs_host and not address.host:
        raise BadSetting(f"sink {address.name} must name a host, as in {address.scheme}://HOST, got none")
    for name in address.options:
        if name not in known:
            listed = ", ".join((*_COMMON, *known))
            raise BadSetting(f"option of sink {address.name} must be one of {listed}, got {name}")
