"""The written model of each part of an application: from a profile and a demand to a plan.

Events and answers cost the same each, whatever their number. What an answer takes and a process holds grows with items,
an artifact, state and features with users and items, a run of learning with events: straight lines through the measured
sizes.
"""

import math

import msgspec
import numpy as np

from flyball.capacity.demand import CapacityPlan, Demand, Growth, PartPlan, Prices
from flyball.capacity.laws import FAR, Law
from flyball.capacity.profile import NOISE, MachineProfile
from flyball.capacity.queueing import BATCH, BulkService, response_times, servers_needed, share_in_time

TIMES = (1.0, 2.0, 5.0, 10.0)
MONTH_H = 730.0
_INTAKE, _WORKER, _SERVING, _LEARNING = "intake", "log worker", "serving", "learning"


def plan_capacity(profile: MachineProfile, demand: Demand, prices: Prices | None = None) -> CapacityPlan:
    """What `demand` needs by what was measured. Raises `NoneInTime` where no number of processes answers in time."""
    model = CostModel(profile, demand)
    needed = model.serving(1.0)
    machines = math.ceil(needed / demand.per_machine) + 1
    serving = machines * demand.per_machine
    parts = tuple(_priced(part, prices or Prices()) for part in model.parts(serving))
    growth = tuple(_growth(model, parts, times) for times in TIMES)
    limits = {part.part: part.used() or 0.0 for part in parts if not part.scales}
    first = max(limits, key=lambda name: limits[name])
    times_s = response_times(model.service, demand.requests_per_s / serving)
    return CapacityPlan(
        demand=demand,
        parts=parts,
        serving=serving,
        machines=machines,
        partitions=max(1, math.ceil(max(TIMES) * demand.events_per_s * profile.largest.online_s)),
        in_time=float((times_s <= demand.deadline_s).mean()),
        in_time_without_one=model.in_time(demand.requests_per_s / (serving - demand.per_machine)),
        p50_s=float(np.quantile(times_s, 0.5)),
        p99_s=float(np.quantile(times_s, 0.99)),
        network_bytes_per_s=model.network(),
        growth=growth,
        breaks_first=first,
        breaks_at=1 / limits[first] if limits[first] else math.inf,
        beyond=model.beyond(),
        notes=model.notes(),
    )


class CostModel:
    """What each part costs for a demand. `service`: how a process answers."""

    def __init__(self, profile: MachineProfile, demand: Demand) -> None:
        self.profile, self.demand, self.now = profile, demand, profile.largest
        self.laws: dict[str, Law | None] = {
            "answer_s": profile.law("answer_s", "items", noise=NOISE),
            "process_bytes": profile.law("process_bytes", "users", "items", noise=NOISE / 2),
            "artifact_bytes": profile.law("artifact_bytes", "users", "items"),
            "run_bytes": profile.law("run_bytes", "users", "items"),
            "state_bytes": profile.law("state_bytes", "users", "items"),
            "learn_s": profile.law("learn_s", "events"),
            "learn_bytes": profile.law("learn_bytes", "events"),
        }
        self.service = self._service()

    def _service(self) -> BulkService:
        """Of n requests that are answered together, `fixed_s + n * each_s`: from the cost of an answer alone, and of
        one in a full batch. It varies as answers did that were asked for alone."""
        together_s = self.value("answer_s") or self.now.answer_s
        alone_s = max(self.now.alone_cpu_s + together_s - self.now.answer_s, together_s)
        each_s = max((BATCH * together_s - alone_s) / (BATCH - 1), together_s / BATCH)
        seen_s = np.array(self.now.alone_s, np.float64)
        factors = tuple((seen_s / seen_s.mean()).tolist())
        overhead_s = max(float(seen_s.mean()) - self.now.alone_cpu_s, 0.0)
        return BulkService(alone_s - each_s, each_s, factors, overhead_s)

    def value(self, name: str) -> float | None:
        """The value of a law at the sizes of the demand; None where it was not measured."""
        law = self.laws[name]
        return None if law is None else law.at(self.demand.sizes)

    def beyond(self) -> dict[str, float]:
        """{what is extrapolated by more than `FAR`: how far}."""
        ratios = {name: law.beyond(self.demand.sizes) for name, law in self.laws.items() if law is not None}
        return {name: ratio for name, ratio in ratios.items() if ratio > FAR}

    def serving(self, times: float) -> int:
        """How many processes answer in time at `times` the load."""
        demand = self.demand
        rate = times * demand.requests_per_s
        return servers_needed(self.service, rate, demand.deadline_s, demand.in_time)

    def in_time(self, rate_per_s: float) -> float:
        """The share of answers in time of a process with this rate."""
        return share_in_time(self.service, rate_per_s, self.demand.deadline_s)

    def parts(self, serving: int) -> tuple[PartPlan, ...]:
        """All parts, with so many serving processes."""
        return (self._intake(), self._worker(), self._serving(serving), self._learning(), *self._stores())

    def _intake(self) -> PartPlan:
        rate, each_s = self.demand.events_per_s, self.now.ingest_s
        return PartPlan(
            part=_INTAKE,
            processes=1,
            cores=rate * each_s,
            unit="events",
            limit_per_s=1 / each_s,
            load_per_s=rate,
        )

    def _worker(self) -> PartPlan:
        """What follows the log; its limit is in events, with as many answers beside each as there are now."""
        now, demand = self.now, self.demand
        per_event = now.online_s + now.history_s + now.outcome_event_s
        answers_per_event = demand.requests_per_s / demand.events_per_s
        each_s = per_event + answers_per_event * now.recorded_s
        return PartPlan(
            part=_WORKER,
            processes=1,
            cores=demand.events_per_s * each_s,
            memory_bytes=None,
            unit="events",
            limit_per_s=1 / each_s,
            load_per_s=demand.events_per_s,
        )

    def _serving(self, processes: int) -> PartPlan:
        return PartPlan(
            part=_SERVING,
            processes=processes,
            cores=min(self.demand.requests_per_s * self.service.alone_s, float(processes)),
            memory_bytes=self.value("process_bytes"),
            unit="answers",
            limit_per_s=processes * self.service.most_per_s,
            load_per_s=self.demand.requests_per_s,
            scales=True,
        )

    def _learning(self) -> PartPlan:
        every_s, took_s = self.demand.learn_every_s, self.value("learn_s") or 0.0
        share = took_s / every_s if every_s else 0.0
        run_bytes = self.value("run_bytes")
        return PartPlan(
            part=_LEARNING,
            processes=1,
            cores=share,
            memory_bytes=self.value("learn_bytes"),
            disk_bytes=run_bytes,
            unit="runs",
            limit_per_s=1 / took_s if every_s else None,
            load_per_s=1 / every_s if every_s else 0.0,
            up=min(1.0, share),
        )

    def _stores(self) -> tuple[PartPlan, ...]:
        now, demand = self.now, self.demand
        per_event = {
            "event log": _divided(now.log_bytes, now.events),
            "history": _divided(now.history_bytes, now.events),
        }
        per_answer = {
            "predictions": now.prediction_bytes,
            "outcomes": now.outcome_bytes,
            "prediction history": now.prediction_history_bytes,
        }
        daily = {name: _times(size, demand.events_per_day) for name, size in per_event.items()}
        daily |= {name: _times(size, demand.answers_per_day) for name, size in per_answer.items()}
        state = PartPlan(part="state and features", disk_bytes=self.value("state_bytes"))
        kept = [
            PartPlan(part=name, disk_bytes=_times(size, demand.keep_days), disk_per_day=size)
            for name, size in daily.items()
        ]
        return (*kept, state)

    def network(self) -> float:
        """Bytes a second of answers out and events in, at the peak."""
        demand, now = self.demand, self.now
        return demand.requests_per_s * now.response_bytes + demand.events_per_s * now.event_line_bytes

    def notes(self) -> tuple[str, ...]:
        """What a reader should know besides."""
        notes = [
            f"{name.replace('_', ' ')} was not measured: its server does not say it"
            for name, law in self.laws.items()
            if law is None
        ]
        answer = self.laws["answer_s"]
        if answer is not None and not any(answer.slopes.values()) and self.demand.items > self.now.items:
            notes.append(
                f"an answer took as long with {self.now.items:,} items as with {self.profile.sizes[0].items:,}, within "
                "the error of the measurement: measure with more items to see what they cost"
            )
        now, answers = self.now, self.demand.requests_per_s / self.demand.events_per_s
        shares = {
            "state and features": now.online_s,
            "history": now.history_s,
            "outcomes": now.outcome_event_s + answers * now.recorded_s,
        }
        most = max(shares, key=lambda name: shares[name])
        notes.append(f"of the log worker's time {shares[most] / sum(shares.values()):.0%} goes to {most}")
        return tuple(notes)


def _growth(model: CostModel, parts: tuple[PartPlan, ...], times: float) -> Growth:
    used = {part.part: share for part in parts if not part.scales and (share := part.used(times)) is not None}
    over = sorted((name for name, share in used.items() if share > 1), key=lambda name: -used[name])
    return Growth(times=times, serving=model.serving(times), used=used, over=tuple(over))


def _priced(part: PartPlan, prices: Prices) -> PartPlan:
    """The part with what it costs in a month: its busy cores, its memory and what it keeps, where they have a price."""
    if not prices.any_given:
        return part
    memory_gb = part.up * part.processes * (part.memory_bytes or 0.0) / 1e9
    terms = [
        (prices.cpu_hour, part.cores * MONTH_H),
        (prices.memory_gb_hour, memory_gb * MONTH_H),
        (prices.gb_month, (part.disk_bytes or 0.0) / 1e9),
    ]
    return msgspec.structs.replace(part, cost_month=sum(price * amount for price, amount in terms if price is not None))


def _divided(total: float | None, count: int) -> float | None:
    return None if total is None else total / count


def _times(size: float | None, count: float) -> float | None:
    return None if size is None else size * count
