"""A stream of events and questions while processes are killed at random times: not one logged bit is off."""

import os
import random
import signal
import threading
from pathlib import Path

import pytest
from tests.cinema import CINEMA
from tests.live.instance import REFUSED, Instance, fill, until

from flyball.operations import status
from flyball.provenance import audit

pytestmark = pytest.mark.live

APP = (
    CINEMA
    + """user = fb.Entity(
    "user",
    minutes=fb.count(Watch, "1d"),
    late=fb.mean(Watch, lambda w: w.minute, "7d"),
    films=fb.distinct(Watch, lambda w: w.film, "30d"),
    latest=fb.last(Watch, lambda w: w.minute, fb.exact("1h", max_events=100)),
)
film = fb.Entity(
    "film",
    seen=fb.count(Watch, fb.lifetime),
    longest=fb.max(Watch, lambda w: w.minute, "7d"),
    heat=fb.decayed(Watch, "1d"),
)
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(user, film, positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular(), "ranker": fb.Stages(
        (fb.ItemKNN(),), rank=fb.LambdaMART(n_estimators=10), features=("user", "film"))},
    choose=fb.best("ndcg@8"),
    gates=fb.gates(min_examples=10, max_answer="10s", max_loss=1.0, at_least={"full_lists@8": 0.0}),
)
"""
)
KILLS = ("worker", "worker", "serve-1", "worker")


def test_no_bit_is_off_after_kills_at_random_times(tmp_path: Path) -> None:
    (tmp_path / "cinema.py").write_text(APP)
    fill(tmp_path)
    instance = Instance(tmp_path)
    rng, stop = random.Random(8), threading.Event()
    sent, asked = [0], [0]
    runtime = instance.runtime()
    began_us = runtime.clock.now_us()

    def watch() -> None:
        draws = random.Random(9)
        while not stop.is_set():
            now_us, records = runtime.clock.now_us(), []
            for _ in range(20):
                fields = {
                    "user": draws.randrange(1, 101),
                    "film": f"f{draws.randrange(40)}",
                    "minute": draws.randrange(90),
                }
                at_us = now_us - draws.choice([0, 0, 0, 7_000_000, 4_000_000_000])  # some late, some very late
                records.append(runtime.schema.check("watch", fields, at_us, now_us))
            runtime.log.append(records)
            sent[0] += len(records)
            stop.wait(0.02)

    def ask() -> None:
        while not stop.is_set():
            try:
                level = instance.get(f"/recommend/{1 + asked[0] % 100}")[2]["x-flyball-level"]
            except REFUSED:
                stop.wait(0.01)  # it was in the process that was killed
            else:
                asked[0] += level == "champion"  # what came too late, from a lower level, was made from no features

    try:
        until(lambda: all(instance.level() == "champion" for _ in range(8)))
        threads = [threading.Thread(target=work) for work in (watch, ask)]
        for thread in threads:
            thread.start()
        for name in KILLS:
            before, more = (sent[0], asked[0]), (rng.randrange(200), rng.randrange(50))
            until(lambda before=before, more=more: sent[0] > before[0] + more[0] and asked[0] > before[1] + more[1])
            pid, _ = instance.children()[name]
            os.kill(pid, signal.SIGKILL)
            until(lambda name=name, pid=pid: instance.children().get(name, (pid, 0))[0] != pid)
        before = asked[0]
        until(lambda: asked[0] > before + 250)
        stop.set()
        for thread in threads:
            thread.join()
        until(lambda: all(each.behind == 0 and not each.error for each in status(runtime).consumers))
        message = audit(runtime, began_us)
        assert message.audited > 200, message.text()
        assert message.exact, message.text()
        assert message.sampled, message.text()
        assert {one.name for one in message.features} == {
            f"{entity}.{name}"
            for entity, names in {"user": "minutes late films latest", "film": "seen longest heat"}.items()
            for name in names.split()
        }
    finally:
        stop.set()
        instance.end()
