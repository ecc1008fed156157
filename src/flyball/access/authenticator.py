"""Verifies keys: slowly once, then from memory.

What was verified is kept under a digest of what was presented, keyed with random bytes of this process, so that neither
the text of a key nor anything that can be searched for it stays in memory. A pass holds while its row of the registry
is the same and not expired; `refresh` brings the rows. Guesses share one thread, wait in a short queue, and are refused
by number before they are computed; requests with a known key never meet them. A text whose id no key has is treated as
a wrong one in all that can be seen from outside: the time, the number of attempts, what is remembered.
"""

import asyncio
import hmac
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from random import Random
from typing import NoReturn
from weakref import WeakValueDictionary

from flyball.access.attempts import Attempts, keep_bounded
from flyball.access.identity import Identity
from flyball.access.key_text import KeyText, parse_key
from flyball.access.keys import is_in_force, own_limits
from flyball.access.slow_hash import slow_hash
from flyball.core import Clock, NotAuthenticated, Stopwatch, SystemStopwatch, TooManyAttempts
from flyball.registry import AccessKey

MAX_VERIFIED, MAX_REFUSED = 4_096, 1_024
MAX_HASHING, MAX_UNKNOWN = 8, 64
"""Slow hashes that may wait, and refusals that may wait for as long as a slow hash takes."""
IDLE_US = 600_000_000
"""After so long without use a verified key is forgotten, and verified again when it comes back."""

_FIRST_HASH_S = 0.05


class Pass:
    """A verified identity. `used`: whether it was, since uses were last noted."""

    __slots__ = ("__weakref__", "identity", "idle_since_us", "row", "used")

    def __init__(self, identity: Identity, row: AccessKey | None, now_us: int) -> None:
        self.identity, self.row = identity, row
        self.used, self.idle_since_us = True, now_us


class Authenticator:
    """Keys of one process. `refresh` and `uses` are called from one thread, the others from the event loop.

    `rng`: unpredictable, for the key of the digests. `generation` grows whenever a pass may have become invalid.
    """

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        stopwatch: Stopwatch | None = None,
        hashed: Callable[[str, bytes], bytes] = slow_hash,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock, self._hashed, self._pause = clock, hashed, pause
        self._stopwatch = stopwatch or SystemStopwatch()
        self._digest_key = rng.getrandbits(256).to_bytes(32)
        self._keys: dict[str, AccessKey] | None = None
        self._verified: dict[bytes, Pass] = {}
        self._passes: WeakValueDictionary[bytes, Pass] = WeakValueDictionary()  # also those that others still hold
        self._refused: dict[bytes, AccessKey | None] = {}
        self._verifying: dict[bytes, asyncio.Task[Pass]] = {}
        self._attempts = Attempts()
        self._waiting = Counter[str]()  # for the thread, "", and for ids that no key has
        self._pausing, self._hash_s = 0, _FIRST_HASH_S
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self.generation, self._expires_us = 0, 0

    @property
    def keys(self) -> dict[str, AccessKey] | None:
        """{id: key} of all keys that were ever made; None until the registry was read."""
        return self._keys

    def now_us(self) -> int:
        """The time by which keys are in force."""
        return self._clock.now_us()

    def refresh(self, keys: Sequence[AccessKey], now_us: int) -> None:
        """Take the rows of the registry; the time of the last use does not matter here."""
        rows = {key.id: key for key in keys}
        known = self._keys
        changed = known is None or rows.keys() != known.keys()
        changed = changed or any(_rules(rows[name]) != _rules(known[name]) for name in rows if known)
        if changed:
            self._keys = rows
        ends = [key.expires_us for key in rows.values() if key.expires_us is not None and key.expires_us > now_us]
        if changed or (self._expires_us and now_us >= self._expires_us):
            self.generation += 1
        self._expires_us = min(ends, default=0)

    def uses(self, now_us: int) -> dict[str, int]:
        """{id of a key: now} of the keys that were used since the last call; forgets passes that are idle.

        A pass that was forgotten and is used all the same, by whoever remembers it, is known again.
        """
        used = {}
        for reference in self._passes.valuerefs():
            passed = reference()
            if passed is None:
                continue
            if passed.used:
                passed.used, passed.idle_since_us = False, now_us
                used[passed.identity.key_id] = now_us
                if reference.key not in self._verified:
                    keep_bounded(self._verified, reference.key, passed, MAX_VERIFIED)
            elif now_us - passed.idle_since_us > IDLE_US:
                self._verified.pop(reference.key, None)
        return used

    def recognized(self, presented: bytes) -> Pass | None:
        """The pass of a key that was verified before and is in force; None for any other text."""
        passed = self._verified.get(self._digest(presented))
        if passed is None or not self._holds(passed):
            return None
        passed.used = True
        return passed

    async def verified(self, presented: bytes, address: str = "") -> Pass:
        """The pass of a key. `address`: where it comes from, "" for unknown.

        Raises `NotAuthenticated`, and `TooManyAttempts` for a text that is not looked at now.
        """
        digest, text = self._digest(presented), _text_of(presented)
        row = self._row_of(text)
        if self._is_refused(digest, row):
            await self._refuse_in_time()
        task = self._verifying.get(digest)
        if task is None:
            queue = "" if row is not None else text.id
            ahead = self._waiting[""] + (self._waiting[queue] if queue else 0)
            if ahead >= MAX_HASHING or (row is None and self._pausing >= MAX_UNKNOWN):
                raise TooManyAttempts(1)
            self._attempts.check(text.id, address, digest, self._clock.now_us())
            self._waiting[queue] += 1
            self._pausing += row is None
            task = asyncio.ensure_future(self._verify(text, row, digest, address, ahead))
            self._verifying[digest] = task
            task.add_done_callback(lambda done: self._done(digest, queue, done))
        return await asyncio.shield(task)

    def verified_now(self, presented: bytes, address: str = "") -> Pass:
        """As `verified`, for a thread that may wait and that no answers wait for."""
        known = self.recognized(presented)
        if known is not None:
            return known
        digest, text = self._digest(presented), _text_of(presented)
        row = self._row_of(text)
        if self._is_refused(digest, row):
            raise _refusal()
        self._attempts.check(text.id, address, digest, self._clock.now_us())
        computed = self._hashed(text.secret, bytes(16) if row is None else bytes.fromhex(row.salt))
        return self._checked(computed, text, row, digest, address)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _done(self, digest: bytes, queue: str, task: "asyncio.Task[Pass]") -> None:
        self._verifying.pop(digest, None)
        self._waiting[queue] -= 1
        self._pausing -= queue != ""
        if not self._waiting[queue]:
            del self._waiting[queue]
        if not task.cancelled():
            task.exception()  # it is raised to whoever waits; all may have gone

    def _row_of(self, text: KeyText) -> AccessKey | None:
        """The row that a slow hash must be compared with; None where no key in force has this id."""
        row = (self._keys or {}).get(text.id)
        return row if row is not None and is_in_force(row, self._clock.now_us()) else None

    def _is_refused(self, digest: bytes, row: AccessKey | None) -> bool:
        """Whether the text was wrong before, and is for the same reason."""
        if digest not in self._refused:
            return False
        refused = self._refused[digest]
        return refused is row if refused is None or row is None else _rules(refused) == _rules(row)

    def _holds(self, passed: Pass) -> bool:
        """Whether the row of a pass is still the same and in force."""
        row = None if passed.row is None else (self._keys or {}).get(passed.row.id)
        if row is None or passed.row is None:
            return False
        if row is not passed.row:
            if _rules(row) != _rules(passed.row):
                return False
            passed.row = row
        return is_in_force(row, self._clock.now_us())

    async def _verify(self, text: KeyText, row: AccessKey | None, digest: bytes, address: str, ahead: int) -> Pass:
        """`ahead`: how many wait for the thread, or would if a key had this id."""
        if row is None:
            await self._pause(self._hash_s * (ahead + 1))
            return self._checked(b"", text, None, digest, address)
        loop, salt = asyncio.get_running_loop(), bytes.fromhex(row.salt)
        computed, self._hash_s = await loop.run_in_executor(self._thread, self._timed, text.secret, salt)
        return self._checked(computed, text, row, digest, address)

    def _timed(self, secret: str, salt: bytes) -> tuple[bytes, float]:
        """A slow hash and how long it took, without the wait for the thread."""
        began_s = self._stopwatch.read_s()
        return self._hashed(secret, salt), self._stopwatch.read_s() - began_s

    def _checked(self, computed: bytes, text: KeyText, row: AccessKey | None, digest: bytes, address: str) -> Pass:
        now_us = self._clock.now_us()
        if row is None or not hmac.compare_digest(computed, bytes.fromhex(row.digest)):
            self._attempts.failed(text.id, address, now_us)
            keep_bounded(self._refused, digest, row, MAX_REFUSED)
            raise _refusal()
        name, limits = f"key {row.name} ({row.id})", own_limits(row)
        identity = Identity(name, frozenset(row.roles), row.origins, row.id, limits, row.event_types)
        passed = Pass(identity, row, now_us)
        if not self._holds(passed):  # it was revoked meanwhile
            raise _refusal()
        self._passes[digest] = passed
        keep_bounded(self._verified, digest, passed, MAX_VERIFIED)
        return passed

    async def _refuse_in_time(self) -> NoReturn:
        """Refuse what was wrong before, as late as a slow hash would."""
        if self._pausing >= MAX_UNKNOWN:
            raise TooManyAttempts(1)
        self._pausing += 1
        try:
            await self._pause(self._hash_s)
        finally:
            self._pausing -= 1
        raise _refusal()

    def _digest(self, presented: bytes) -> bytes:
        return blake2b(presented, key=self._digest_key, digest_size=16).digest()


def _text_of(presented: bytes) -> KeyText:
    """The parts of a key. Raises `NotAuthenticated` for a text that has not the form of one."""
    text = parse_key(presented.decode("latin-1"))
    if text is None:
        raise _refusal()
    return text


def _rules(key: AccessKey) -> tuple[object, ...]:
    """What makes a pass another one."""
    return (
        key.digest,
        key.roles,
        key.origins,
        key.expires_us,
        key.revoked_us,
        key.name,
        key.limit_answers,
        key.limit_events,
        key.event_types,
    )


def _refusal() -> NotAuthenticated:
    return NotAuthenticated("key must be in force, got one that is unknown, wrong, revoked or expired")
