"""Limits by who sends: a key or a known user, or else an address; answers and events apart."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Protocol

import msgspec

from flyball.core import Stopwatch
from flyball.limits.bucket_table import BucketTable
from flyball.limits.rate import Rate, parse_rate
from flyball.limits.usage import BucketUse, Usage

LIMITED_KINDS = ("answers", "events")
"""What is limited, each by a rate of its own."""

IPV6_BITS = 64
"""Of an address: whoever has one has all that begin with the same 64 bits."""


class Sender(msgspec.Struct, frozen=True):
    """Who sends. `known`: the key or user, "" for anyone, who is counted by `address`. `own`: {kind: rate as text}
    where it is not the rate of everybody."""

    known: str
    address: str
    own: Mapping[str, str] = {}


class BucketTables(Protocol):
    """{name: table}"""

    def __getitem__(self, name: str) -> BucketTable: ...


class RateLimiter:
    """Takes tokens of senders; `rates`: {kind: its rate, None for no limit}, for all that have no rate of their own.

    Known senders have tables of their own, so that no flood of addresses touches them; a sender whose rate is changed
    begins with a full bucket. `usage`: notes what was taken, for the other machines.
    """

    def __init__(
        self,
        rates: Mapping[str, Rate | None],
        tables: BucketTables,
        stopwatch: Stopwatch,
        usage: Usage | None = None,
    ) -> None:
        self._rates, self._tables, self._stopwatch, self._usage = dict(rates), tables, stopwatch, usage

    @staticmethod
    def table_names() -> list[str]:
        """The names of the tables that it needs."""
        return [f"{kind}|{group}" for kind in LIMITED_KINDS for group in ("known", "addresses")]

    def rate(self, kind: str, own: Mapping[str, str] | None = None) -> Rate | None:
        """The rate of a sender that has these rates of its own."""
        text = own.get(kind, "") if own else ""
        return parse_rate(text) if text else self._rates[kind]

    def wait_s(self, kind: str, sender: Sender, cost: int = 1) -> int:
        """0 if `cost` tokens were taken; otherwise in how many whole seconds, 1 or more, there are so many."""
        rate = self.rate(kind, sender.own)
        if rate is None:
            return 0
        now_ns = int(self._stopwatch.read_s() * 1e9)
        if sender.known:
            table, name = f"{kind}|known", f"{sender.known}|{sender.own.get(kind, '')}".encode()
        else:
            table, name = f"{kind}|addresses", network_of(sender.address)
        wait_ns = self._tables[table].take(name, cost, rate, now_ns)
        if not wait_ns and self._usage is not None:
            self._usage.note(table, name, cost * rate.interval_ns, now_ns)
        return -(-wait_ns // 1_000_000_000)

    def adopt(self, use: BucketUse, ahead_ns: int) -> None:
        """Take over that the bucket of a sender will be full in `ahead_ns` only, since it sent to other machines."""
        now_ns = int(self._stopwatch.read_s() * 1e9)
        self._tables[use.table].raise_to(use.name, now_ns + ahead_ns, now_ns)


@lru_cache(4_096)
def network_of(address: str) -> bytes:
    """What is counted as one sender: an IPv4 address, the first 64 bits of an IPv6 address, or the text of another.

    >>> network_of("2001:db8::1") == network_of("2001:db8::ffff:2"), network_of("::ffff:10.0.0.1")
    (True, b'10.0.0.1')
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address.encode("utf-8", "surrogateescape")
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped).encode() if mapped else parsed.packed[: IPV6_BITS // 8]
    return str(parsed).encode()
