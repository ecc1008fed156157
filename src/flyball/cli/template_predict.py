"""What `flyball new --kind predict` writes: an application that predicts a number, with a world of its own."""

from pathlib import Path

from flyball.core import parse_timestamp

APPLICATION = '''"""{title}: how many hours a repair will take, said when the thing is brought in."""

from collections import Counter
from typing import Annotated

import msgspec
import numpy as np

import flyball as fb
from flyball.simulation import DAY_US, TrueOutcome, WorldBatch, WorldRequest
from flyball.tasks import Response

# Keys: what names a repair and a workshop. Malformed ones never get in.
RepairKey = Annotated[int, fb.Ref("repair"), fb.integer(1)]
Workshop = Annotated[str, fb.Ref("workshop"), fb.text(pattern=r"\\A[a-z]+\\Z", max_length=40)]

HOUR_US = 3_600_000_000


class Repair(fb.Event):
    """Something is brought in. This is the question, and later the row that training sees."""

    repair: RepairKey
    workshop: Workshop
    device: Annotated[str, fb.text(max_length=40)]
    years: Annotated[float, fb.real(0, 50)]


class Repaired(fb.Event):
    """It works again: from now on the hours of this repair are known."""

    repair: RepairKey
    workshop: Workshop


class Abandoned(fb.Event):
    """It cannot be repaired: there will never be an answer."""

    repair: RepairKey
    workshop: Workshop


# A repair with its outcome; features and the target read `elapsed_us`.
Done = fb.joined("Done", Repair, Repaired, by="repair", within="3d")

workshop = fb.Entity(
    "workshop",
    repairs_1d=fb.count(Repair, "1d"),
    # Hours of repairs that are done by then: no label is seen before it is known.
    hours_7d=fb.mean(Done, lambda d: d.elapsed_us / 3_600_000_000, "7d"),
)


class Workshops:
    """A world to try it in: old things take longer, phones less than bicycles, and one workshop is slow.

    Its five methods are those of every world: docs/how-to/try-it-in-a-simulated-world.md.
    """

    def __init__(self, *, seed: int, start_us: int, repairs_a_day: int = 400) -> None:
        self.rng = np.random.default_rng(seed)
        self._now_us, self._repairs, self._number, self._speed = start_us, repairs_a_day, 0, 1.0
        self._lines, self._outcomes = [], []

    def requests(self, until_us, timeline):
        self._speed = timeline.speed  # on a faster world's day a repair takes as long as ever
        n = int(self.rng.poisson(self._repairs * (until_us - self._now_us) / DAY_US))
        times = np.sort(self.rng.integers(self._now_us, until_us, size=n)).tolist()
        return [self._bring(at_us) for at_us in times]

    def decide(self, requests, responses, took_us):
        for request in requests:  # a thing takes its time, whatever was answered
            fields = request.fields
            which = {{"repair": fields["repair"], "workshop": fields["workshop"]}}
            hours = expected_hours(fields) * float(self.rng.lognormal(0.0, 0.2))
            ended_us = request.at_us + int(hours * HOUR_US * self._speed)
            abandoned = self.rng.random() < 0.03
            self._lines.append((request.at_us, request.number, "repair", fields))
            self._lines.append((ended_us, request.number, "abandoned" if abandoned else "repaired", which))
            if not abandoned:
                self._outcomes.append(TrueOutcome(request.number, "done", hours))

    def emit(self, until_us, timeline):
        self._lines.sort(key=lambda line: line[:2])
        due = [line for line in self._lines if line[0] < until_us]
        self._lines, self._now_us = self._lines[len(due) :], until_us
        outcomes, self._outcomes = self._outcomes, []
        lines = [
            msgspec.json.encode({{"type": kind, "at": timeline.written(at_us), **fields}})
            for at_us, _, kind, fields in due
        ]
        counts = Counter(kind for _, _, kind, _ in due)
        return WorldBatch([("jsonl", lines)] if lines else [], counts, outcomes, bool(self._lines))

    def true_quality(self, requests, responses):
        expected = np.array([expected_hours(request.fields) for request in requests])
        answered = np.array([response.values[0] if response.values else 0.0 for response in responses])
        return {{"closeness": -np.abs(answered - expected)}}  # hours, the greater the better

    def reference_policies(self, requests):
        return {{
            "oracle": [Response(values=(expected_hours(request.fields),)) for request in requests],
            "always_nine": [Response(values=(9.0,))] * len(requests),
        }}

    def _bring(self, at_us):
        self._number += 1
        fields = {{
            "repair": int(self.rng.integers(1, 2**53)),
            "workshop": str(self.rng.choice(["harbor", "market", "station", "school"])),
            "device": str(self.rng.choice(["phone", "laptop", "bicycle"])),
            "years": round(float(self.rng.gamma(2.0, 2.0)), 1),
        }}
        return WorldRequest(self._number - 1, at_us, fields)


def expected_hours(fields):
    """The median hours of a repair, which a perfect prediction would say."""
    hours = {{"phone": 2.0, "laptop": 5.0, "bicycle": 3.0}}[fields["device"]] + 0.8 * fields["years"]
    return hours * (1.8 if fields["workshop"] == "harbor" else 1.0)


app = fb.App(
    "{name}",
    events=[Repair, Repaired, Abandoned, Done],
    task=fb.Predict(
        on=Repair,
        target=fb.elapsed(Done, by="repair", within="3d", censored_by=(Abandoned,), unit="h"),
        features=(workshop,),
        deadline="100ms",
    ),
    # Candidates are trained side by side and evaluated on the same held-out time; add your own model here.
    candidates={{"median": fb.GroupMedian("workshop", "device"), "linear": fb.Linear(), "trees": fb.LightGBM()}},
    choose=fb.best("mae"),
    retrain=[fb.every("1d")],
    # flyball simulate {file} --days 3, or flyball up {file} --world
    world=fb.world(Workshops, past_days=7),
)
'''


def example_lines(path: Path, days: int = 30, settled_days: int = 0, **settings: int) -> bytes:
    """Some days of the world of the application in `path`, which takes `settings`, as JSON lines.

    `settled_days`: for that many more days only events that follow earlier requests, so that each has its label.
    """
    import msgspec

    from flyball.app import load_app
    from flyball.simulation import DAY_US, live_past, open_world
    from flyball.tasks import references

    app, start_us = load_app(str(path)), parse_timestamp("2026-01-01")
    world = open_world(app.world, app.name, seed=1, start_us=start_us, **settings)
    end_us = start_us + days * DAY_US
    batches = live_past(world, start_us, end_us + settled_days * DAY_US)
    lines = [line for batch in batches for _, lines in batch.lines for line in lines]
    if settled_days:
        request = app.task.about.request
        question, key = request.__name__.lower(), next(iter(references(request)))
        events = [msgspec.json.decode(line) for line in lines]
        settled = {event[key] for event in events if event["type"] == question and event["at"] < end_us}
        lines = [line for line, event in zip(lines, events, strict=True) if event[key] in settled]
    return b"".join(line + b"\n" for line in lines)
