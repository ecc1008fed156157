"""Lines that came before their film's card, and profiles that changed: from bytes to training data, by known time."""

from pathlib import Path

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.events import LineSource, ingest_lines
from flyball.history import take_snapshot
from flyball.runtime import Runtime, load_settings
from flyball.tasks import build_interactions

HOUR_US = 3_600_000_000
START_US = 1_700_000_000_000_000


class Home:
    """The movie application; an hour passes between two deliveries."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START_US)
        self.runtime = Runtime(load_app("movies"), load_settings(folder), self.clock)

    def take(self, *lines: str) -> list[str]:
        runtime = self.runtime
        self.clock.advance_us(HOUR_US)
        source = LineSource("test", runtime.formats["jsonl"], "jsonl", "live")
        verdicts = ingest_lines([line.encode() for line in lines], source, runtime.inlet).verdicts
        return [each.verdict for each in verdicts]

    def learned(self, hours: int) -> tuple[set[tuple[str, str]], dict[str, str]]:
        """(user, film) of the training data as of so many hours after the start, and the users' groups."""
        runtime, consumer = self.runtime, self.runtime.history_consumer
        consumer.apply(runtime.log.read(consumer.offsets(), 10_000))
        consumer.flush()
        as_of_us = START_US + hours * HOUR_US
        snapshot = take_snapshot(runtime.history_folder, runtime.schema, as_of_us)
        frames = {name: snapshot.frame(name) for name in runtime.schema.types}
        data = build_interactions(frames, runtime.app.task, runtime.schema, as_of_us)
        pairs = zip(data.user_index.tolist(), data.item_index.tolist(), strict=True)
        groups = {
            user: data.groups[group] for user, group in zip(data.users, data.user_group, strict=True) if group >= 0
        }
        return {(data.users[user], data.items[item]) for user, item in pairs}, groups


def test_what_was_flagged_is_learned_from_once_it_is_known(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.take('{"type": "filmcard", "film": "a"}', '{"type": "viewer", "user": 1, "age": 20, "gender": "M"}')
    watched = [(1, "a"), (1, "later"), (2, "a")]
    lines = ['{"type": "watch", "user": %d, "film": "%s", "minute": 3}' % pair for pair in watched]  # noqa: UP031
    assert home.take(*lines) == ["accepted"] * 3
    home.take('{"type": "filmcard", "film": "later", "year": 1999}', '{"type": "joined", "user": 2}')
    home.take('{"type": "viewer", "user": 1, "age": 40, "gender": "M"}')
    assert home.learned(2) == ({("1", "a")}, {"1": "M15+"})
    everything = {("1", "a"), ("1", "later"), ("2", "a")}
    assert home.learned(3) == (everything, {"1": "M15+"})
    assert home.learned(4) == (everything, {"1": "M30+"})
    assert home.learned(2) == ({("1", "a")}, {"1": "M15+"})  # the past stays as it was
