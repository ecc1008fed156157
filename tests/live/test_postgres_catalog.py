"""The catalog and the quarantine on a real PostgreSQL server keep their contracts, also while it is gone or frozen."""

import signal
import threading
from collections.abc import Callable

import pytest
from tests.live.postgres import GIVEN, HERE, MISSING, Server, execute

from flyball.core import Refused, StoreUnavailable
from flyball.events import open_known_entities, open_quarantine
from flyball.registry import Registry
from flyball.testing import catalog_contract, quarantine_contract
from flyball.testing.quarantine_contract import entries_of

pytestmark = [pytest.mark.live, pytest.mark.skipif(not GIVEN and not HERE, reason=MISSING)]


@pytest.mark.parametrize("check", catalog_contract.CHECKS)
def test_contract_of_the_catalog(check: str, url: str) -> None:
    catalog_contract.CHECKS[check](lambda: open_known_entities(url))


@pytest.mark.parametrize("check", quarantine_contract.CHECKS)
def test_contract_of_the_quarantine(check: str, url: str) -> None:
    quarantine_contract.CHECKS[check](lambda: open_quarantine(url))


def test_all_stores_of_an_application_share_a_schema(url: str) -> None:
    ready = threading.Barrier(6)

    def use(work: Callable[[], object]) -> None:
        ready.wait()
        work()

    works = [
        lambda: open_quarantine(url).put(entries_of("a")),
        lambda: open_known_entities(url).add({("user", "7"): True}, (1,)),
        lambda: Registry(url).runs(),
    ]
    threads = [threading.Thread(target=use, args=(work,)) for work in works * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (open_quarantine(url).counts(), open_known_entities(url).offsets(1)) == ({"a": 1}, (1,))
    assert Registry(url).runs() == []


def test_tables_of_another_format_are_refused_with_what_to_do(url: str) -> None:
    open_quarantine(url).put(entries_of("a"))
    open_known_entities(url).add({}, (1,))
    execute(url, "UPDATE store_formats SET format = 9")
    with pytest.raises(Refused, match="must be of format 1, got 9: .*; retry its lines with the version that wrote"):
        open_quarantine(url).counts()
    with pytest.raises(Refused, match="must be of format 1, got 9: .*; drop its tables: they are rebuilt from the log"):
        open_known_entities(url).since(0)


def test_stores_opened_while_the_server_is_gone_work_when_it_is_back(fragile: Server) -> None:
    url = f"{fragile.url}?schema=away"
    fragile.signal(signal.SIGKILL)
    entities, quarantine = open_known_entities(url), open_quarantine(url)
    for call in (lambda: entities.add({("user", "7"): True}, (1,)), lambda: quarantine.put(entries_of("a"))):
        with pytest.raises(StoreUnavailable, match="must accept connections"):
            call()
    fragile.start()
    entities.add({("user", "7"): True}, (1,))
    assert quarantine.put(entries_of("a")) == 1
    fragile.signal(signal.SIGKILL)
    with pytest.raises(StoreUnavailable):
        entities.since(0)
    with pytest.raises(StoreUnavailable):
        quarantine.list()
    fragile.start()
    assert (len(entities.since(0)), quarantine.counts()) == (1, {"a": 1})


def test_a_frozen_server_is_given_up_in_time_and_lines_are_put_once(fragile: Server) -> None:
    quarantine = open_quarantine(f"{fragile.url}?schema=frozen&timeout_ms=1500")
    quarantine.put(entries_of("a"))
    fragile.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="must answer within 1500 ms"):
            quarantine.put(entries_of("abc"))
    finally:
        fragile.signal(signal.SIGCONT)
    quarantine.put(entries_of("abc"))
    assert quarantine.counts() == {"a": 1, "b": 1, "c": 1}
