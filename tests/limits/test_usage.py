"""What was taken of buckets is passed on once, by those who took most, without their names."""

from flyball.limits import Usage
from flyball.limits.usage import KEPT, SHARED


def test_uses_of_a_bucket_add_up_from_the_first_on_and_are_passed_on_once() -> None:
    usage = Usage()
    usage.note("answers|known", b"k1", 5, now_ns=100)
    usage.note("events|known", b"k1", 1, now_ns=110)
    usage.note("answers|known", b"k1", 7, now_ns=120)
    uses = {(use.table, use.name): (use.cost_ns, use.age_ns) for use in usage.take(150)}
    assert uses == {("answers|known", b"k1"): (12, 50), ("events|known", b"k1"): (1, 40)}
    assert usage.take(160) == []


def test_of_many_senders_those_that_took_most_are_shared_and_memory_is_bounded() -> None:
    usage = Usage()
    for number in range(3 * KEPT):
        usage.note("answers|addresses", b"%d" % number, 1 + (number < SHARED), now_ns=0)
    uses = usage.take(0)
    assert sorted(int(use.name) for use in uses) == list(range(SHARED))


def test_the_name_among_machines_shows_no_address() -> None:
    usage = Usage()
    for table, name in (("answers|addresses", b"192.0.2.1"), ("events|addresses", b"192.0.2.1")):
        usage.note(table, name, 1, 0)
    names = {use.shared_name for use in usage.take(0)}
    assert len(names) == 2
    assert all(len(name) == 32 and "192" not in name for name in names)
