"""Open connections by address."""

from ipaddress import ip_network

from flyball.serving import ConnectionLimits


def opened(limits: ConnectionLimits, address: str) -> bool:
    """Opens a connection, which is closed again when it is above a limit."""
    limits.open(address)
    if limits.admits(address):
        return True
    limits.close(address)
    return False


def test_an_address_has_its_share_and_others_have_theirs() -> None:
    refused: list[str] = []
    limits = ConnectionLimits(most=10, most_of_address=2, refused=refused.append)
    assert [opened(limits, "192.0.2.1") for _ in range(4)] == [True, True, False, False]
    assert refused == ["192.0.2.1"] * 2
    assert opened(limits, "192.0.2.2")
    limits.close("192.0.2.1")
    assert opened(limits, "192.0.2.1")


def test_an_ipv6_address_counts_by_its_network() -> None:
    limits = ConnectionLimits(most_of_address=1)
    assert [opened(limits, f"2001:db8::{number}") for number in range(2)] == [True, False]
    assert opened(limits, "2001:db8:0:1::1")


def test_proxies_and_this_machine_count_in_all_only() -> None:
    limits = ConnectionLimits(most=5, most_of_address=1, trusted=[ip_network("10.0.0.0/8")])
    assert [opened(limits, address) for address in ["10.0.0.7", "127.0.0.1", "::1"] * 2] == [True] * 5 + [False]


def test_nothing_is_kept_of_addresses_without_a_connection() -> None:
    limits = ConnectionLimits()
    for number in range(1_000):
        address = f"198.51.100.{number % 250}"
        limits.open(address)
        limits.close(address)
    assert (limits.total, limits._open) == (0, {})
