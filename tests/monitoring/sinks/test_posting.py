"""Posting JSON: a server that does not answer in time is an error, not a wait without end."""

import socket

import pytest

from flyball.core import StoreUnavailable
from flyball.monitoring.sinks.posting import post_json
from flyball.monitoring.sinks.sink import parse_sink


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # connections wait in its queue, and nobody reads them
        address = parse_sink(f"slack+http://127.0.0.1:{server.getsockname()[1]}/?timeout=50ms")
        with pytest.raises(StoreUnavailable, match="127.0.0.1 must answer, got TimeoutError"):
            post_json(address, "/", {}, {})
