"""How many partitions each worker holds; the leases themselves keep the contract in `flyball.testing`."""

from hypothesis import given
from hypothesis import strategies as st

from flyball.registry import quota_of


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 20), min_size=1, max_size=9), st.integers(1, 64))
def test_quotas_add_up_and_differ_by_one_and_who_holds_more_keeps_more(held: dict[str, int], partitions: int) -> None:
    quotas = {member: quota_of(member, held, partitions) for member in held}
    assert sum(quotas.values()) == partitions
    assert max(quotas.values()) - min(quotas.values()) <= 1
    assert all(quotas[more] >= quotas[fewer] for more, count in held.items() for fewer in held if count > held[fewer])


@given(st.integers(1, 9), st.integers(1, 64))
def test_where_all_hold_their_quota_nothing_moves(members: int, partitions: int) -> None:
    empty = dict.fromkeys("abcdefghi"[:members], 0)
    held = {member: quota_of(member, empty, partitions) for member in empty}
    assert {member: quota_of(member, held, partitions) for member in held} == held
