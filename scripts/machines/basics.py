"""Waiting, asking over HTTP, and printing with the time."""

import http.client
import socket
import sys
import time
from contextlib import suppress

LONG_S = 240.0
REFUSED = (OSError, http.client.HTTPException)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds, what: str, within_s: float = LONG_S):
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        with suppress(*REFUSED):
            if value := holds():
                return value
        time.sleep(0.05)
    sys.exit(f"{what} must hold within {within_s:g} s, it did not")


def get(port: int, path: str, timeout_s: float = 10.0) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
