"""A client of a running `up` that sends events and asks for lists until it is stopped."""

import http.client
import threading

import msgspec
from tests.live.instance import REFUSED, Instance


class Writer:
    """Sends events and asks for lists, until it is stopped; notes what was accepted and what was refused."""

    def __init__(self, instance: Instance) -> None:
        self._instance, self._stop = instance, threading.Event()
        self.accepted: list[int] = []
        self.statuses: dict[str, list[int]] = {"events": [], "lists": []}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.01):
            number += 1
            body = msgspec.json.encode({"type": "watch", "user": 1_000 + number, "film": "f1", "minute": 7})
            while not self._stop.is_set():  # sent again until it is accepted, as a client does
                status = self._request("events", "POST", "/v1/events", body)
                if status == 200:
                    self.accepted.append(1_000 + number)
                    break
                self._stop.wait(0.05)
            self._request("lists", "GET", f"/recommend/{number % 100}", b"")

    def _request(self, kind: str, method: str, path: str, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._instance.port, timeout=30)
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            status = connection.getresponse().status
        except REFUSED:
            status = 0
        finally:
            connection.close()
        self.statuses[kind].append(status)
        return status
