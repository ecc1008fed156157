"""Sends JSON by POST, with a timeout. Proxies of the environment are not used, redirects are not followed."""

import http.client
from base64 import b64encode
from collections.abc import Mapping

import msgspec

from flyball.core import StoreUnavailable
from flyball.monitoring.sinks.sink import SinkAddress

_SHOWN = 200


def post_json(address: SinkAddress, path: str, document: object, headers: Mapping[str, str]) -> None:
    """Send a document; raises `StoreUnavailable` for anything but a status 2xx, without secrets in its message."""
    body = msgspec.json.encode(document)
    sent = {"content-type": "application/json", "user-agent": "flyball", **headers}
    if address.user:
        sent["authorization"] = "Basic " + b64encode(f"{address.user}:{address.password}".encode()).decode()
    connection = _connection(address)
    try:
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        text = answer.read(_SHOWN).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise StoreUnavailable(f"{address.host} must answer, got {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise StoreUnavailable(f"{address.host} must accept the message, got {answer.status} {answer.reason}: {text}")


def _connection(address: SinkAddress) -> http.client.HTTPConnection:
    if address.secure:
        return http.client.HTTPSConnection(address.host, address.port, timeout=address.timeout_s, context=address.tls())
    return http.client.HTTPConnection(address.host, address.port, timeout=address.timeout_s)
