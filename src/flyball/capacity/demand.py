"""What a plan is made for, and what it is made of."""

import msgspec

from flyball.core import BadInput

DAY_S = 86_400.0


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of an application. `requests_per_s`, `events_per_s`: at the peak; `peak`: how many times the mean
    of a day that is. `keep_days`: how long events and answers are kept; learning reads as many. `in_time`: the share of
    requests to answer within `deadline_s`. `learn_every_s`: None for no schedule. `per_machine`: serving processes of
    a machine.
    """

    users: int
    items: int
    requests_per_s: float
    events_per_s: float
    deadline_s: float
    peak: float = 1.0
    keep_days: float = 90.0
    in_time: float = 0.999
    learn_every_s: float | None = None
    per_machine: int = 2

    def __post_init__(self) -> None:
        for name in ("users", "items", "requests_per_s", "events_per_s", "deadline_s", "keep_days", "per_machine"):
            if not getattr(self, name) > 0:
                raise BadInput(name.replace("_", " "), "above 0", getattr(self, name))
        if not self.peak >= 1:
            raise BadInput("peak", "1 or more times the mean of a day", self.peak)
        if not 0 < self.in_time < 1:
            raise BadInput("share in time", "between 0 and 1, such as 0.999", self.in_time)

    @property
    def events_per_day(self) -> float:
        return self.events_per_s / self.peak * DAY_S

    @property
    def answers_per_day(self) -> float:
        return self.requests_per_s / self.peak * DAY_S

    @property
    def events_kept(self) -> float:
        return self.events_per_day * self.keep_days

    @property
    def sizes(self) -> dict[str, float]:
        """The sizes that laws are functions of."""
        return {"users": float(self.users), "items": float(self.items), "events": self.events_kept}


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid, in any currency; None where it is not known: nothing is assumed."""

    cpu_hour: float | None = None
    gb_month: float | None = None
    memory_gb_hour: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise BadInput(f"price of a {name.replace('_', ' ')}", "0 or more", value)

    @property
    def any_given(self) -> bool:
        return any(getattr(self, name) is not None for name in self.__struct_fields__)


class PartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an application. `processes`: how many run. `cores`: busy at the peak, of all of them together.
    `memory_bytes`: of each process. `disk_bytes`: after `keep_days`; `disk_per_day`: what is added. `limit_per_s`: of
    `unit`, what it can do before it saturates; None where more processes help. `up`: the share of the time that it
    runs. `cost_month`: None without prices. A number is None where it does not apply or was not measured.
    """

    part: str
    processes: int = 0
    cores: float = 0.0
    memory_bytes: float | None = None
    disk_bytes: float | None = None
    disk_per_day: float | None = None
    unit: str = ""
    limit_per_s: float | None = None
    load_per_s: float = 0.0
    scales: bool = False
    up: float = 1.0
    cost_month: float | None = None

    def used(self, times: float = 1.0) -> float | None:
        """The share of the limit that is used at `times` the load; None without a limit."""
        return None if self.limit_per_s is None else times * self.load_per_s / self.limit_per_s


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """The plan at `times` the load. `serving`: processes that answer in time; `used`: {part: share of its limit};
    `over`: the parts above it, the most used first."""

    times: float
    serving: int
    used: dict[str, float]
    over: tuple[str, ...]


class CapacityPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an application needs for a demand, from a profile of a machine.

    `serving`: processes, on `machines`, of which one may fail. `in_time`: the predicted share of answers in time, at
    the peak, and with one machine fewer; `p50_s`, `p99_s`: of predicted answers. `partitions`: of the event log.
    `network_bytes_per_s`: answers out and events in. `breaks_first`: the part that saturates first, at `breaks_at`
    times the load. `beyond`: {what: how many times the largest measured size it lies}, where more than 10.
    """

    demand: Demand
    parts: tuple[PartPlan, ...]
    serving: int
    machines: int
    partitions: int
    in_time: float
    in_time_without_one: float
    p50_s: float
    p99_s: float
    network_bytes_per_s: float
    growth: tuple[Growth, ...]
    breaks_first: str
    breaks_at: float
    beyond: dict[str, float]
    notes: tuple[str, ...] = ()
