"""Keys are verified slowly once; what is wrong, unknown, revoked or expired is refused, and guessing stays bounded."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from tests.access.quick import SECOND_US, Office

from flyball.access.attempts import FAILURES, FAILURES_US, RETRY_US
from flyball.access.authenticator import IDLE_US, MAX_HASHING, MAX_UNKNOWN, MAX_VERIFIED, Authenticator, Pass
from flyball.access.key_text import KeyText
from flyball.core import ManualClock, ManualStopwatch, NotAuthenticated, TooManyAttempts
from flyball.registry import AccessKey, revoke_access_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def wrong(key_id: str, number: int) -> bytes:
    """A key with this id whose secret is another, with its checksum."""
    return KeyText(key_id, f"{number:028d}").text.encode()


async def test_a_key_is_hashed_once_and_then_recognized(office: Office) -> None:
    key, text = office.key("serve", name="front")
    assert office.authenticator.recognized(text) is None
    passes = await asyncio.gather(*(office.authenticator.verified(text) for _ in range(20)))
    assert office.hashed == 1
    assert {(p.identity.name, p.identity.roles) for p in passes} == {(f"key front ({key.id})", frozenset({"serve"}))}
    assert office.authenticator.recognized(text) is passes[0]
    assert office.hashed == 1


async def test_a_revoked_key_is_refused_from_the_next_reading_of_the_registry_on(office: Office) -> None:
    key, text = office.key()
    await office.authenticator.verified(text)
    generation = office.authenticator.generation
    revoke_access_key(office.registry, key.id, "ann", "", office.clock.now_us())
    assert office.authenticator.recognized(text) is not None
    office.refresh()
    assert office.authenticator.generation > generation
    assert office.authenticator.recognized(text) is None
    with pytest.raises(NotAuthenticated, match="key must be in force, got one that is unknown, wrong, revoked"):
        await office.authenticator.verified(text)
    assert office.hashed == 1


async def test_a_key_is_in_force_until_its_end_exclusive(office: Office) -> None:
    _, text = office.key(for_us=10 * SECOND_US)
    await office.authenticator.verified(text)
    generation = office.authenticator.generation
    office.clock.advance_us(10 * SECOND_US - 1)
    office.refresh()
    assert office.authenticator.recognized(text) is not None
    assert office.authenticator.generation == generation
    office.clock.advance_us(1)
    assert office.authenticator.recognized(text) is None
    office.refresh()
    assert office.authenticator.generation == generation + 1
    with pytest.raises(NotAuthenticated):
        await office.authenticator.verified(text)


async def test_a_key_that_is_revoked_while_it_is_hashed_is_refused(office: Office) -> None:
    key, text = office.key()
    task = asyncio.ensure_future(office.authenticator.verified(text))
    await asyncio.sleep(0)
    revoke_access_key(office.registry, key.id, "ann", "", office.clock.now_us())
    office.refresh()
    with pytest.raises(NotAuthenticated):
        await task
    assert office.authenticator.recognized(text) is None


async def test_what_is_no_key_or_unknown_costs_no_slow_hash(office: Office) -> None:
    _, text = office.key()
    for presented in (b"", b"fb_x", text[:-1], text[:-1] + b"0" if text[-1:] != b"0" else text[:-1] + b"1", b"\xff"):
        with pytest.raises(NotAuthenticated):
            await office.authenticator.verified(presented)
    assert (office.hashed, office.paused) == (0, 0)
    with pytest.raises(NotAuthenticated):
        await office.authenticator.verified(wrong("00000000", 1))
    assert (office.hashed, office.paused) == (0, 1), "a refusal of an unknown id takes as long as a slow hash"


async def test_a_wrong_secret_is_hashed_once_and_guessing_is_refused_by_number(office: Office) -> None:
    key, text = office.key()
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            await office.authenticator.verified(wrong(key.id, 0))
    assert office.hashed == 1
    for number in range(1, FAILURES):
        with pytest.raises(NotAuthenticated):
            await office.authenticator.verified(wrong(key.id, number))
    refused = [await outcome_of(office, wrong(key.id, number)) for number in range(100, 1_100)]
    assert refused == ["NotAuthenticated"] + ["TooManyAttempts"] * 999, "an id has a turn all the same"
    assert office.hashed == FAILURES + 1
    office.clock.advance_us(FAILURES_US)
    assert (await office.authenticator.verified(text)).identity.key_id == key.id


async def outcome_of(office: Office, presented: bytes, address: str = "") -> str:
    try:
        await office.authenticator.verified(presented, address)
    except (NotAuthenticated, TooManyAttempts) as error:
        return type(error).__name__
    return "verified"


@pytest.mark.parametrize("address", ["198.51.100.7", "203.0.113.9", ""])
async def test_the_true_key_is_verified_while_another_address_guesses(office: Office, address: str) -> None:
    key, text = office.key()
    for number in range(1, 3_000):
        if number % 500 == 0:
            if await outcome_of(office, text, address) == "verified":
                break
            office.clock.advance_us(RETRY_US - 500_000)
        office.clock.advance_us(1_000)
        await outcome_of(office, wrong(key.id, number), "203.0.113.9")
    else:
        raise AssertionError("the true key is locked out")
    assert office.hashed <= 3 * FAILURES


async def test_a_thread_that_may_wait_locks_out_nobody_either(office: Office) -> None:
    key, text = office.key("read")
    for number in range(100):
        with pytest.raises((NotAuthenticated, TooManyAttempts)):
            office.authenticator.verified_now(wrong(key.id, number), "203.0.113.9")
    assert office.authenticator.verified_now(text, "198.51.100.7").identity.key_id == key.id


@pytest.mark.parametrize("at_once", [1, FAILURES, 2 * MAX_HASHING])
async def test_an_unknown_id_is_answered_as_a_known_one(at_once: int) -> None:
    """Time moves by what the slow hash, and the pause in its stead, are asked to take."""
    seen = [await Guessed(is_known).answers(at_once) for is_known in (True, False)]
    assert seen[0] == seen[1]


class Guessed:
    """An authenticator whose hash takes 50 ms; what wrong texts with one id are answered, and how long it takes."""

    def __init__(self, is_known: bool) -> None:
        self.is_known = is_known
        self.clock, self.stopwatch = ManualClock(1_000 * SECOND_US), ManualStopwatch()
        self.began_s, self.took_s = 0.0, [0.0]

    async def answers(self, at_once: int) -> list[tuple[list[str], list[float]]]:
        authenticator = Authenticator(self.clock, Random(2), self.stopwatch, hashed=self.hashed, pause=self.pause)
        row = AccessKey(
            id="00000001", name="page", roles=("serve",), salt="00", digest="00" * 32, created_us=1, created_by="ann"
        )
        authenticator.refresh([row] if self.is_known else [], self.clock.now_us())
        answers = []
        for first in (0, 0, 100, 200, 300, 400, 500, 0):
            texts = [wrong("00000001", first + number) for number in range(at_once)]
            self.began_s, self.took_s = self.stopwatch.read_s(), []
            outcomes = await asyncio.gather(*map(authenticator.verified, texts), return_exceptions=True)
            answers.append(([type(outcome).__name__ for outcome in outcomes], self.took_s))
            self.clock.advance_us(SECOND_US)
        authenticator.close()
        return answers

    def hashed(self, secret: str, salt: bytes) -> bytes:
        self.stopwatch.advance_s(0.05)
        self.took_s.append(round(self.stopwatch.read_s() - self.began_s, 6))
        return bytes(1)

    async def pause(self, seconds: float) -> None:
        self.took_s.append(round(seconds, 6))


async def test_guessing_does_not_touch_keys_that_were_verified_or_other_keys(office: Office) -> None:
    key, text = office.key()
    _, other = office.key()
    await office.authenticator.verified(text)
    for number in range(50):
        with pytest.raises((NotAuthenticated, TooManyAttempts)):
            await office.authenticator.verified(wrong(key.id, number))
    assert office.authenticator.recognized(text) is not None
    assert (await office.authenticator.verified(other)).identity.roles == {"serve"}


async def test_refusals_of_unknown_ids_wait_in_a_bounded_number(office: Office) -> None:
    office.key()
    gate = asyncio.Event()

    async def pause(seconds: float) -> None:
        await gate.wait()

    office.authenticator._pause = pause
    tasks = [
        asyncio.ensure_future(office.authenticator.verified(wrong(f"{number:08d}", 1))) for number in range(MAX_UNKNOWN)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyAttempts):
        await office.authenticator.verified(wrong("zzzzzzzz", 1))
    gate.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, NotAuthenticated) for error in errors)


async def test_verified_keys_are_bounded_and_forgotten_when_idle(office: Office) -> None:
    key, text = office.key()
    passed = await office.authenticator.verified(text)
    office.clock.advance_us(SECOND_US)
    now_us = office.clock.now_us()
    assert office.authenticator.uses(now_us) == {key.id: now_us}
    assert office.authenticator.uses(now_us) == {}
    office.authenticator.uses(now_us + IDLE_US)
    assert office.authenticator.recognized(text) is passed
    assert office.authenticator.uses(now_us + IDLE_US) == {key.id: now_us + IDLE_US}
    office.authenticator.uses(now_us + 2 * IDLE_US + 1)
    assert office.authenticator.recognized(text) is None
    for number in range(MAX_VERIFIED):
        office.authenticator._verified[b"%d" % number] = Pass(passed.identity, passed.row, now_us)
    await office.authenticator.verified(text)
    assert len(office.authenticator._verified) == MAX_VERIFIED


async def test_the_use_of_a_pass_that_was_forgotten_is_noted_and_it_is_known_again(office: Office) -> None:
    """Connections remember the pass of a head that they know, and never ask for it again."""
    key, text = office.key()
    passed = await office.authenticator.verified(text)
    now_us = office.clock.now_us()
    office.authenticator.uses(now_us)
    for hour in range(1, 4):
        now_us += 6 * IDLE_US
        assert office.authenticator.uses(now_us) == {}
        assert office.authenticator.recognized(text) is None
        passed.used = True
        assert office.authenticator.uses(now_us + hour) == {key.id: now_us + hour}
        assert office.authenticator.recognized(text) is passed
        office.authenticator.uses(now_us + hour)
    assert office.hashed == 1


async def test_nothing_is_known_before_the_registry_was_read(office: Office) -> None:
    assert office.authenticator.keys is None
    office.refresh()
    assert office.authenticator.keys == {}


def test_a_thread_that_may_wait_verifies_at_once(office: Office) -> None:
    key, text = office.key("read")
    assert office.authenticator.verified_now(text).identity.key_id == key.id
    assert office.authenticator.verified_now(text).identity.key_id == key.id
    assert office.hashed == 1
    for unknown in (wrong("00000000", 1), wrong(key.id, 1)):
        with pytest.raises(NotAuthenticated):
            office.authenticator.verified_now(unknown)


async def test_no_text_of_a_key_stays_in_memory(office: Office) -> None:
    _, text = office.key()
    await office.authenticator.verified(text)
    assert text[-20:].decode() not in repr(vars(office.authenticator))
    assert text not in office.authenticator._verified
