"""Who is counted as who, and what for."""

import pytest
from tests.limits.naive_buckets import table

from flyball.core import ManualStopwatch
from flyball.limits import LIMITED_KINDS, BucketTable, RateLimiter, Sender, Usage, parse_rate
from flyball.limits.rate_limiter import network_of


def limiter(stopwatch: ManualStopwatch, **rates: str) -> RateLimiter:
    tables: dict[str, BucketTable] = {name: table(64) for name in RateLimiter.table_names()}
    return RateLimiter({kind: parse_rate(rates.get(kind, "none")) for kind in LIMITED_KINDS}, tables, stopwatch)


def sender(address: str, known: str = "") -> Sender:
    return Sender(known, address)


def test_answers_and_events_are_counted_apart_and_keys_apart_from_addresses() -> None:
    stopwatch = ManualStopwatch()
    limits = limiter(stopwatch, answers="1/m, burst 2", events="10/s, burst 20")
    by_key, anyone = sender("10.0.0.1", "key a"), sender("10.0.0.1")
    assert [limits.wait_s("answers", by_key) for _ in range(3)] == [0, 0, 60]
    assert limits.wait_s("answers", sender("10.0.0.2", "key a")) == 60  # a key is one sender from everywhere
    assert limits.wait_s("answers", sender("10.0.0.1", "key b")) == 0
    assert [limits.wait_s("answers", anyone) for _ in range(3)] == [0, 0, 60]
    assert [limits.wait_s("events", by_key, 15), limits.wait_s("events", by_key, 15)] == [0, 1]
    stopwatch.advance_s(60)
    assert limits.wait_s("answers", by_key) == 0


def test_without_a_limit_nobody_waits() -> None:
    limits = limiter(ManualStopwatch())
    assert not any(limits.wait_s("answers", sender("10.0.0.1")) for _ in range(10_000))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("unknown", "unknown", True),
    ],
)
def test_an_ipv6_address_counts_by_its_network(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same
    limits = limiter(ManualStopwatch(), answers="1/m")
    assert limits.wait_s("answers", sender(one)) == 0
    assert (limits.wait_s("answers", sender(other)) > 0) == same


def test_a_rate_of_its_own_holds_for_one_key_and_a_changed_one_begins_full() -> None:
    stopwatch = ManualStopwatch()
    limits = limiter(stopwatch, answers="1/m, burst 2")
    own, free, other = (
        Sender(name, "a", rates)
        for name, rates in (("a", {"answers": "1/m, burst 4"}), ("b", {"answers": "none"}), ("c", {}))
    )
    assert [limits.wait_s("answers", own) for _ in range(5)] == [0, 0, 0, 0, 60]
    assert not any(limits.wait_s("answers", free) for _ in range(1_000))
    assert [limits.wait_s("answers", other) for _ in range(3)] == [0, 0, 60]
    assert limits.wait_s("events", own) == 0
    more = Sender("a", "a", {"answers": "10/s, burst 3"})
    assert [limits.wait_s("answers", more) for _ in range(4)] == [0, 0, 0, 1]


def test_what_was_taken_elsewhere_is_owed_here() -> None:
    stopwatch, usage = ManualStopwatch(), Usage()
    tables: dict[str, BucketTable] = {name: table(64) for name in RateLimiter.table_names()}
    limits = RateLimiter({"answers": parse_rate("1/s, burst 10"), "events": None}, tables, stopwatch, usage)
    assert limits.wait_s("answers", sender("a", "key")) == 0
    (use,) = usage.take(int(stopwatch.read_s() * 1e9))
    assert (use.cost_ns, use.age_ns) == (10**9, 0)
    limits.adopt(use, 14 * 10**9)
    assert limits.wait_s("answers", sender("a", "key")) == 5, "4 s of debt, and a second for the answer"
    limits.adopt(use, 10**9)
    assert limits.wait_s("answers", sender("a", "key")) == 5, "what is known here counts, too"
    stopwatch.advance_s(5)
    assert limits.wait_s("answers", sender("a", "key")) == 0
    limits.adopt(use, 10**18)
    stopwatch.advance_s(3_600)
    assert limits.wait_s("answers", sender("a", "key")) == 0, "nobody owes more than an hour"
