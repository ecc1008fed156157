"""Limits of a service: how many answers and events each sender may have, and how long a request may have waited."""

from flyball.access import Identity
from flyball.core import Stopwatch
from flyball.limits import (
    LIMITED_KINDS,
    Rate,
    RateLimiter,
    RefusalLog,
    Sender,
    SharedTables,
    Usage,
    parse_rate,
)
from flyball.registry import add_to_buckets
from flyball.runtime import Runtime
from flyball.serving.http.admission import is_loopback
from flyball.serving.metrics import ServingMetrics
from flyball.settings import AUTO, LIMITS, Settings


class RequestLimits:
    """The rates of the settings and of keys. The serving processes of a machine share the buckets, in a file of the
    home; those of several machines, where the registry is on a server, share what was taken, see `step`."""

    def __init__(self, runtime: Runtime, metrics: ServingMetrics, stopwatch: Stopwatch) -> None:
        self._runtime, self._stopwatch = runtime, stopwatch
        self._metrics, self._log = metrics, RefusalLog(stopwatch)
        self._texts = {kind: rate_text(runtime.settings, kind) for kind in LIMITED_KINDS}
        self._rates = {kind: parse_rate(text) for kind, text in self._texts.items()}
        self._usage = Usage() if runtime.shares_registry else None
        self._limiter: RateLimiter | None = None

    def rate(self, kind: str, identity: Identity) -> Rate | None:
        """The rate of a sender, None for no limit."""
        return parse_rate(self.text(kind, identity))

    def text(self, kind: str, identity: Identity) -> str:
        """The rate of a sender as it is declared."""
        return identity.limits.get(kind) or self._texts[kind]

    def wait_s(self, kind: str, identity: Identity, address: str, cost: int = 1) -> int:
        """0 if the sender may have so many; otherwise in how many seconds, which is counted and logged."""
        if self._rates[kind] is None and not identity.limits:
            return 0
        known = (identity.key_id or identity.name) if identity.is_known else ""
        wait_s = self._opened().wait_s(kind, Sender(known, address, identity.limits), cost)
        if wait_s:
            self.refused(kind, identity.name if known else address)
        return wait_s

    def refused(self, kind: str, who: str) -> None:
        """Count and log a refusal."""
        self._metrics.counters.add(f"limited|{kind}")
        self._log.note(kind, who)

    def step(self) -> int:
        """Tell the registry what was taken since the last step, and take over what senders owe to other machines;
        returns how many senders these were. For a thread that no answer waits for; raises the registry's errors."""
        if self._usage is None or self._limiter is None:
            return 0
        uses = {use.shared_name: use for use in self._usage.take(int(self._stopwatch.read_s() * 1e9))}
        if uses:
            taken = [(name, use.cost_ns, use.age_ns) for name, use in uses.items()]
            for name, ahead_ns in add_to_buckets(self._runtime.registry, taken).items():
                self._limiter.adopt(uses[name], ahead_ns)
        return len(uses)

    def _opened(self) -> RateLimiter:
        """The buckets; their file is made when the first request is limited."""
        if self._limiter is None:
            tables = SharedTables(self._runtime.layout.run / "limits.table", RateLimiter.table_names())
            self._limiter = RateLimiter(self._rates, tables, self._stopwatch, self._usage)
        return self._limiter


def rate_text(settings: Settings, kind: str) -> str:
    """The rate of a kind, with what `AUTO` stands for."""
    name = f"limit_{kind}"
    text: str = getattr(settings, name)
    if text != AUTO:
        return text
    return "none" if is_loopback(settings.host) else LIMITS[name]
