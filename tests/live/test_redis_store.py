"""The Redis store keeps the contract of the state stores on a real server.

The server is the one `TEST_REDIS_URL` names (CI sets it, see `scripts/with-redis`), else one started here.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.features.online import play_through
from tests.live.former_worker import FormerStore
from tests.processes import free_port

from flyball.core import BadSetting, LeaseLost, StoreUnavailable, parse_url
from flyball.stores import StateStore, StoreChange, claim, open_state, update_store
from flyball.testing.state_contract import CHECKS

GIVEN = os.environ.get("TEST_REDIS_URL", "")
HERE = shutil.which("redis-server") is not None
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not GIVEN and not HERE, reason="no redis-server on this machine"),
]

_names = (f"test-{os.urandom(6).hex()}-{number}" for number in count())
"""Those of other processes on the same server are others."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if GIVEN:
        yield GIVEN
        return
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "Ready to accept connections" in line:
            break
    else:
        pytest.fail("redis-server ended before it was ready")
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.stdout.close()
    process.wait()


@pytest.fixture
def url(server: str) -> str:
    return f"{server}?name={next(_names)}"


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: str, url: str) -> None:
    CHECKS[check](lambda: open_state(url))


def test_names_keep_stores_of_one_server_apart(url: str) -> None:
    one, other = open_state(url), open_state(url + "b")
    one.write({b"a": b"1"}, (1,))
    assert other.read([b"a"]) == ([None], ())


def test_a_scan_passes_any_byte_and_thousands_of_keys(url: str) -> None:
    store = open_state(url)
    values: dict[bytes, bytes | None] = {b"\xff\xff%05d" % index: b"%d" % index for index in range(3_500)}
    store.write({**values, b"\xfe": b"before", b"": b"empty key"}, (1,))
    assert list(store.scan(b"\xff")) == sorted(values.items())
    assert len(list(store.scan(b""))) == 3_502


def test_a_store_opened_before_a_fork_serves_both_sides(url: str) -> None:
    store = open_state(url)
    store.write({b"a": b"1"}, (1,))
    child = os.fork()
    if child == 0:
        right = False
        try:
            right = store.read([b"a"]) == ([b"1"], (1,))
            store.write({b"a": b"2"}, (2,))
        finally:
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.read([b"a"]) == ([b"2"], (2,))


def test_a_server_that_is_gone_is_reported_as_such(tmp_path: Path) -> None:
    store = open_state(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreUnavailable, match="must answer"):
        store.read([b"a"])


@pytest.mark.parametrize("url", ["redis://", "redis:///0", "redis://127.0.0.1:1/0?name={}"])
def test_what_cannot_be_a_server_is_refused(url: str) -> None:
    with pytest.raises(BadSetting):
        open_state(url)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_online_features_equal_the_oracle(server: str, data: st.DataObject) -> None:
    place = f"{server}?name={next(_names)}"
    play_through(data, lambda: open_state(place))


@pytest.mark.skipif(not HERE, reason="no redis-server on this machine")
def test_ci_brings_a_server_of_its_own_and_ends_it(tmp_path: Path) -> None:
    message = tmp_path / "message"
    code = (
        "import os, pathlib, sys; from flyball.stores import open_state;"
        "url = os.environ['TEST_REDIS_URL']; store = open_state(url); store.write({b'a': b'1'}, (1,));"
        "pathlib.Path(sys.argv[1]).write_text(url) if store.read([b'a']) == ([b'1'], (1,)) else None; sys.exit(7)"
    )
    command = [str(ROOT / "scripts" / "with-redis"), sys.executable, "-c", code, str(message)]
    ended = subprocess.run(command, cwd=tmp_path, timeout=120, check=False, env={**os.environ, "TEST_REDIS_URL": ""})
    assert ended.returncode == 7
    with pytest.raises(StoreUnavailable):
        open_state(message.read_text()).read([b"a"])


def test_a_writer_whose_lease_another_took_is_refused(url: str) -> None:
    """Also when it read before the other claimed the store, and when the claim comes in the middle of its write."""
    paused, woken, reader = open_state(url), open_state(url), open_state(url)
    claim(paused, 5)
    paused.write({b"a": b"1"}, (1,))
    claim(woken, 7)
    with pytest.raises(LeaseLost, match="must be held with token 5, got 7: stand by"):
        paused.write({b"a": b"2"}, (2,))
    woken.write({b"a": b"3"}, (3,))
    assert reader.read([b"a"]) == ([b"3"], (3,))
    with pytest.raises(LeaseLost):
        claim(open_state(url), 6)
    unclaimed = open_state(url)
    with pytest.raises(LeaseLost, match="must be held to write, got none, after a writer with token 7: let its holder"):
        unclaimed.write({b"a": b"2"}, (2,))
    late = open_state(url)
    claim(late, 8)
    begin = late._begin  # type: ignore[attr-defined]

    def overtaken(commands: object) -> None:
        begin(commands)
        late._begin = begin  # type: ignore[attr-defined]
        claim(open_state(url), 9)

    late._begin = overtaken  # type: ignore[attr-defined]
    with pytest.raises(LeaseLost, match="got 9"):
        late.write({b"a": b"4"}, (4,))
    assert reader.read([b"a"]) == ([b"3"], (3,))


@pytest.mark.parametrize("partition", [None, 2])
def test_a_writer_of_a_former_release_is_refused_once_one_of_this_one_has_claimed(
    url: str, partition: int | None
) -> None:
    """Whatever its token is; one without a lease may still not write where one of either has claimed the store."""
    former, new = FormerStore(parse_url(url)), open_state(url)
    former.claim(5)
    former.write({b"a": b"1"}, (1,))
    with pytest.raises(LeaseLost, match="got none, after a writer with token 5"):
        open_state(url).write({b"a": b"0"}, (0,))
    claim(new, 3, partition)
    with pytest.raises(LeaseLost):
        former.write({b"a": b"2"}, (2,))
    with pytest.raises(LeaseLost):
        former.claim(1_900_000_000_000_000)
    update_store(new, lambda: ({b"a": b"3"}, (3,)), None if partition is None else [partition])
    assert open_state(url).read([b"a"]) == ([b"3"], (3,))


def test_writers_of_different_partitions_change_a_store_as_if_by_turns(url: str) -> None:
    """A write that another writer overtook is repeated; one whose partition another claimed is refused."""
    first, second, reader = open_state(url), open_state(url), open_state(url)
    for store, partition in ((first, 0), (second, 1)):
        claim(store, 5, partition)

    def counted(store: StateStore, partition: int) -> StoreChange:
        (value,), offsets = reader.read([b"sum"])
        if partition == 0 and not overtaken:
            overtaken.append(True)
            update_store(second, lambda: counted(second, 1), [1])
        reached = [*(offsets or (0, 0))]
        reached[partition] += 1
        return {b"sum": b"%d" % (int(value or 0) + 1)}, tuple(reached)

    overtaken: list[bool] = []
    update_store(first, lambda: counted(first, 0), [0])
    assert reader.read([b"sum"]) == ([b"2"], (1, 1))
    claim(open_state(url), 6, 1)
    update_store(first, lambda: counted(first, 0), [0])
    with pytest.raises(LeaseLost, match="lease of partition 1 in state store redis://.* with token 5, got 6"):
        update_store(second, lambda: counted(second, 1), [1])
    with pytest.raises(LeaseLost, match="got none, after a writer with token 5"):
        update_store(open_state(url), lambda: counted(second, 1), [0, 1])
    assert reader.read([b"sum"]) == ([b"3"], (2, 1))
    update_store(first, lambda: None, [0])
    assert reader.offsets() == (2, 1)
