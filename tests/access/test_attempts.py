"""Guesses are bounded by id and by address, and never lock out whoever has the key."""

from hashlib import blake2b

import pytest

from flyball.access.attempts import FAILURES, FAILURES_US, RETRY_US, TURN_US, Attempts, keep_bounded
from flyball.core import TooManyAttempts

SECOND_US = 1_000_000
GUESSER, OWNER = "203.0.113.9", "198.51.100.7"


def digest(number: int) -> bytes:
    return blake2b(b"%d" % number, digest_size=16).digest()


def flood(attempts: Attempts, addresses: list[str], a_second: int, until_us: int, from_us: int = 0) -> int:
    """Wrong guesses on an id from each address in turn; how many were computed."""
    computed = 0
    for number in range((until_us - from_us) * a_second // SECOND_US):
        now_us, address = from_us + number * SECOND_US // a_second, addresses[number % len(addresses)]
        try:
            attempts.check("page", address, digest(from_us + number), now_us)
        except TooManyAttempts:
            continue
        computed += 1
        attempts.failed("page", address, now_us)
    return computed


def admitted_us(attempts: Attempts, address: str, guessers: list[str], a_second: int) -> int:
    """When the true key, which comes back each second, is computed under a flood of guesses."""
    now_us = 12 * SECOND_US
    flood(attempts, guessers, a_second, now_us)
    for _ in range(60):
        try:
            attempts.check("page", address, digest(-1), now_us)
        except TooManyAttempts:
            flood(attempts, guessers, a_second, now_us + SECOND_US, now_us)
            now_us += SECOND_US
        else:
            return now_us - 12 * SECOND_US
    raise AssertionError("the true key is locked out")


@pytest.mark.parametrize("address", [OWNER, GUESSER, ""])
@pytest.mark.parametrize("guessers", [[GUESSER], [""], [f"10.0.{n // 256}.{n % 256}" for n in range(10_000)]])
def test_the_true_key_gets_in_within_seconds_under_a_flood(address: str, guessers: list[str]) -> None:
    assert admitted_us(Attempts(), address, guessers, a_second=500) <= 3 * SECOND_US


def test_a_flood_from_an_address_does_not_delay_another_address_at_all() -> None:
    assert admitted_us(Attempts(), OWNER, [GUESSER], a_second=500) == 0


def test_what_is_computed_on_an_id_is_bounded() -> None:
    seconds = 60
    for guessers in ([GUESSER], [""], [f"10.0.{n // 256}.{n % 256}" for n in range(10_000)]):
        computed = flood(Attempts(), guessers, 200, seconds * SECOND_US)
        windows = seconds * SECOND_US // FAILURES_US
        assert computed <= (FAILURES + 1) * windows + 2 * seconds * SECOND_US // TURN_US


def test_an_address_that_failed_may_not_try_other_ids() -> None:
    attempts = Attempts()
    for number in range(FAILURES):
        attempts.check(f"id {number}", GUESSER, digest(number), 0)
        attempts.failed(f"id {number}", GUESSER, 0)
    with pytest.raises(TooManyAttempts):
        attempts.check("another", GUESSER, digest(9), FAILURES_US - 1)
    attempts.check("another", OWNER, digest(9), FAILURES_US - 1)
    attempts.check("another", GUESSER, digest(9), FAILURES_US)


def test_addresses_of_a_network_count_together() -> None:
    attempts = Attempts()
    for number in range(FAILURES):
        attempts.failed(f"id {number}", f"2001:db8::{number}", 0)
    with pytest.raises(TooManyAttempts):
        attempts.check("another", "2001:db8::ffff", digest(1), 1)


def test_a_text_that_comes_back_too_early_has_no_turn_of_its_own() -> None:
    attempts = Attempts()
    for _ in range(FAILURES):
        attempts.failed("page", GUESSER, 0)
    for at_us in (0, 1, RETRY_US - 1):
        with pytest.raises(TooManyAttempts, match="in 1 s"):
            attempts.check("page", GUESSER, digest(1), at_us)
    attempts.check("page", GUESSER, digest(1), RETRY_US)


def test_memory_is_bounded() -> None:
    kept = {number: number for number in range(3)}
    keep_bounded(kept, 1, 9, 3)
    keep_bounded(kept, 7, 7, 3)
    assert kept == {1: 9, 2: 2, 7: 7}
