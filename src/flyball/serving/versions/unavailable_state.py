"""Stands for an online state that cannot be opened, so that the service starts and answers by its fallback."""

from collections.abc import Iterator, Mapping, Sequence

from flyball.core import StoreUnavailable
from flyball.events import Offsets


class UnavailableState:
    """A state store that could not be opened."""

    def __init__(self, reason: Exception) -> None:
        self._reason = reason

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        raise StoreUnavailable(str(self._reason))

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        raise StoreUnavailable(str(self._reason))

    def offsets(self) -> Offsets:
        raise StoreUnavailable(str(self._reason))

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        raise StoreUnavailable(str(self._reason))

    def close(self) -> None:
        pass
