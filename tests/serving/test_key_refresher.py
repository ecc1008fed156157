"""Keys reach a serving process, are revoked in it and noted as used, also while the registry is away."""

from pathlib import Path
from typing import Any

import pytest
from tests.access.quick import SECOND_US, Office

from flyball.core import ManualStopwatch, NotAuthenticated, StoreUnavailable
from flyball.registry import access_keys, revoke_access_key
from flyball.runtime import Runtime
from flyball.serving.key_refresher import USES_US, KeyRefresher
from flyball.serving.metrics import ServingMetrics

pytestmark = pytest.mark.anyio


class Away:
    """A registry that cannot be read while `away`."""

    def __init__(self, registry: Any) -> None:
        self.registry, self.away = registry, False

    @property
    def database(self) -> Any:
        if self.away:
            raise StoreUnavailable("away")
        return self.registry.database


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def refresher(office: Office, home: Runtime, tmp_path: Path) -> tuple[KeyRefresher, Away]:
    registry = Away(office.registry)
    home.__dict__["registry"] = registry
    metrics = ServingMetrics(tmp_path / "counters", "test", ManualStopwatch())
    return KeyRefresher(home, office.authenticator, metrics, office.clock), registry


async def test_a_key_is_known_and_gone_with_the_next_reading(office: Office, empty: Runtime, tmp_path: Path) -> None:
    keys, _ = refresher(office, empty, tmp_path)
    keys.step()
    assert office.authenticator.keys == {}
    key, text = office.key()
    await office.authenticator.verified(text)
    revoke_access_key(office.registry, key.id, "ann", "", office.clock.now_us())
    keys.step()
    with pytest.raises(NotAuthenticated):
        await office.authenticator.verified(text)


async def test_while_the_registry_is_away_known_keys_stay_until_their_end(
    office: Office, empty: Runtime, tmp_path: Path
) -> None:
    keys, registry = refresher(office, empty, tmp_path)
    registry.away = True
    keys.step()
    assert office.authenticator.keys is None
    registry.away = False
    _, text = office.key(for_us=SECOND_US)
    keys.step()
    await office.authenticator.verified(text)
    registry.away = True
    keys.step()
    generation = office.authenticator.generation
    assert office.authenticator.recognized(text) is not None
    office.clock.advance_us(SECOND_US)
    keys.step()
    assert office.authenticator.generation == generation + 1, "heads that were let in are looked at again"
    assert office.authenticator.recognized(text) is None


async def test_the_last_use_is_written_once_a_minute_and_at_the_end(
    office: Office, empty: Runtime, tmp_path: Path
) -> None:
    keys, registry = refresher(office, empty, tmp_path)
    key, text = office.key()

    def used_us() -> int | None:
        return access_keys(office.registry)[0].used_us

    await office.authenticator.verified(text)
    keys.step()
    first_us = used_us()
    assert first_us == office.clock.now_us()
    for _ in range(3):
        office.clock.advance_us(SECOND_US)
        office.authenticator.recognized(text)
        keys.step()
    assert used_us() == first_us
    registry.away = True
    office.clock.advance_us(USES_US)
    keys.step()
    registry.away = False
    keys.stop()
    assert used_us() == first_us + 3 * SECOND_US
    assert key.used_us is None
