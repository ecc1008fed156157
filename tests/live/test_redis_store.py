"""The Redis store keeps the contract of the state stores on a real server.

The server is the one `TEST_REDIS_URL` names (CI sets it, see `scripts/with-redis`), else one started here.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.features.online import play_through

from flyball.core import BadSetting, StoreUnavailable
from flyball.stores import open_state
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if GIVEN:
        yield GIVEN
        return
    folder, port = tmp_path_factory.mktemp("redis"), _free_port()
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
    store = open_state(f"redis://127.0.0.1:{_free_port()}/0")
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
