"""Clients that ask and send events at fixed times, and what they saw."""

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from machines.basics import REFUSED, get, say

DEADLINE_S, TRIES_S = 0.3, 200.0
THREADS = 8


@dataclass
class Tally:
    """What clients saw. `sent`: (visitor, item) of acknowledged events; `answers`: (when, seconds, status, level)."""

    answers: list[tuple[float, float, int, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    sent: set[tuple[int, str]] = field(default_factory=set)
    unsent: int = 0
    resent: int = 0
    problems: Counter[str] = field(default_factory=Counter)


class Load:
    """Clients that ask and report views at fixed times, whether answers come or not, over one load balancer.

    An answer counts from when its request was due. An event is sent until it is acknowledged, as every client must.
    """

    def __init__(self, port: int, asked_s: float, events_s: float) -> None:
        self.port, self.asked_s, self.events_s = port, asked_s, events_s
        self.tally, self._lock, self._stop = Tally(), threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(THREADS)]
        self._threads += [threading.Thread(target=self._tell, args=(number,)) for number in range(2)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        due_s, count = time.monotonic() + number / self.asked_s, 0
        while not self._stop.is_set():
            due_s += THREADS / self.asked_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            count += 1
            try:
                status, _, headers = get(self.port, f"/recommend/{1 + (count * 7 + number) % 60}", 5.0)
            except REFUSED as error:
                status, headers = 0, {}
                with self._lock:
                    self.tally.problems[type(error).__name__] += 1
            took_s, level = time.monotonic() - due_s, headers.get("x-flyball-level", "")
            with self._lock:
                self.tally.answers.append((due_s, took_s, status, level))
                if status == 200:
                    self.tally.ids.append(headers["x-flyball-prediction"])
                elif status:
                    self.tally.problems[f"status {status}"] += 1

    def _tell(self, number: int) -> None:
        due_s, count = time.monotonic(), 0
        while not self._stop.is_set():
            due_s += 2 / self.events_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            count += 1
            view = (100_000 * (number + 1) + count, "garden-00")
            body = json.dumps({"type": "view", "visitor": view[0], "item": view[1], "at": now()})
            ends_s = time.monotonic() + TRIES_S
            while not self._post(body):
                self.tally.resent += 1
                if time.monotonic() > ends_s:
                    self.tally.unsent += 1
                    break
                time.sleep(0.2)
            else:
                self.tally.sent.add(view)

    def _post(self, body: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/v1/events", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except REFUSED:
            return False
        finally:
            connection.close()


def now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1e6) % 1_000_000:06d}Z"


def summary(tally: Tally) -> tuple[float, int]:
    """Print what clients saw; returns (the share of answers in time, requests that failed)."""
    times_s = sorted(took_s for _, took_s, status, _ in tally.answers if status == 200)
    failed = len(tally.answers) - len(times_s)
    timely = sum(took_s <= DEADLINE_S for took_s in times_s) / max(1, len(tally.answers))
    levels = Counter(level for *_, status, level in tally.answers if status == 200)
    at = [times_s[min(len(times_s) - 1, int(share * len(times_s)))] * 1e3 for share in (0.5, 0.99, 0.999)]
    say(f"requests {len(tally.answers):,}, failed {failed} {dict(tally.problems)}, levels {dict(levels)}")
    say(f"within {DEADLINE_S * 1e3:g} ms: {timely:.3%}; p50 {at[0]:.1f}, p99 {at[1]:.1f}, p99.9 {at[2]:.1f} ms")
    say(f"events acknowledged {len(tally.sent):,}, sent again {tally.resent}, given up {tally.unsent}")
    return timely, failed
