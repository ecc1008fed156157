"""Keys with a fast hash, and clocks moved by hand."""

import hashlib
import random
from pathlib import Path

from flyball.access import Authenticator, create_key
from flyball.core import ManualClock, ManualStopwatch
from flyball.registry import AccessKey, Registry, access_keys

SECOND_US = 1_000_000


class Office:
    """A registry, and an authenticator that counts its slow hashes and pauses."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry(f"sqlite://{folder}/registry.db")
        self.clock, self.rng = ManualClock(1_000 * SECOND_US), random.Random(1)
        self.hashed, self.paused = 0, 0
        self.authenticator = Authenticator(
            self.clock, random.Random(2), ManualStopwatch(), hashed=self._hashed, pause=self._pause
        )

    def key(self, *roles: str, name: str = "", **more: object) -> tuple[AccessKey, bytes]:
        key, text = create_key(
            self.registry,
            roles or ("serve",),
            self.rng,
            name=name,
            by="ann",
            now_us=self.clock.now_us(),
            **more,  # type: ignore[arg-type]
        )
        self.refresh()
        return key, text.text.encode()

    def refresh(self) -> None:
        self.authenticator.refresh(access_keys(self.registry), self.clock.now_us())

    def _hashed(self, secret: str, salt: bytes) -> bytes:
        self.hashed += 1
        return hashlib.scrypt(secret.encode(), salt=salt, n=1 << 14, r=8, p=1, maxmem=1 << 26, dklen=32)

    async def _pause(self, seconds: float) -> None:
        self.paused += 1
