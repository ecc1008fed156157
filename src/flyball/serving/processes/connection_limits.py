"""How many connections clients may have open, in all and from one address."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from flyball.core import Counters, Stopwatch
from flyball.limits import RefusalLog, network_of
from flyball.runtime import Runtime

Network = IPv4Network | IPv6Network


class ConnectionLimits:
    """Counts open connections by address; an IPv6 address counts by its first 64 bits.

    Those of this machine and of `trusted` networks, where many clients come through a proxy, count in all only.
    `refused(address)` is called for each connection above a limit.
    """

    def __init__(
        self,
        most: int = 10_000,
        most_of_address: int = 1_000,
        trusted: Sequence[Network] = (),
        refused: Callable[[str], object] = lambda address: None,
    ) -> None:
        self._most, self._most_of_address, self._trusted = most, most_of_address, tuple(trusted)
        self._refused = refused
        self._open: dict[bytes, int] = {}
        self.total = 0

    def open(self, address: str) -> None:
        """One more from this address."""
        network = network_of(address)
        self._open[network] = self._open.get(network, 0) + 1
        self.total += 1

    def close(self, address: str) -> None:
        """One fewer."""
        network = network_of(address)
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]
        self.total -= 1

    def admits(self, address: str) -> bool:
        """Whether as many as are open may be."""
        within = self.total <= self._most and (
            self._open.get(network_of(address), 0) <= self._most_of_address or self._is_trusted(address)
        )
        if not within:
            self._refused(address)
        return within

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return parsed.is_loopback or any(parsed in network for network in self._trusted)


def connection_limits(runtime: Runtime, stopwatch: Stopwatch) -> ConnectionLimits:
    """Those of the settings; what they refuse is counted for `/metrics` and logged once a minute."""
    counted = "limited|connections"
    counters, log = Counters(runtime.counters_folder, "connections", [counted]), RefusalLog(stopwatch)

    def refused(address: str) -> None:
        counters.add(counted)
        log.note("connections", address)

    settings = runtime.settings
    trusted = [ip_network(network) for network in settings.trusted_proxies]
    return ConnectionLimits(settings.connections, settings.connections_per_address, trusted, refused)
