"""An object store keeps the contract of the stores of files on a real S3 server, and the history of several machines.

The server is the one `TEST_OBJECTS_ENDPOINT` names (CI sets it, see `scripts/with-objects`); without it these tests are
skipped. Those that end or stop a server start one of their own.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.processes import freeze, succeeds, until

from flyball.core import BadSetting, StoreUnavailable
from flyball.files import FileStore, open_files
from flyball.history import History, HistoryConsumer, take_snapshot
from flyball.testing.files_contract import CHECKS, Open
from flyball.testing.state_contract import divided
from flyball.testing.state_logs import APPLICATION, PARTITIONS, START

ENDPOINT = os.environ.get("TEST_OBJECTS_ENDPOINT", "")
ENGINE = Path(__file__).parents[2] / ".ci" / "engines" / "seaweedfs"

pytestmark = [pytest.mark.live, pytest.mark.skipif(not ENDPOINT, reason="no TEST_OBJECTS_ENDPOINT")]

_names = (f"test-{os.urandom(6).hex()}-{number}" for number in count())
"""Those of other processes in the same bucket are others."""


@pytest.fixture
def open_store(tmp_path: Path) -> Open:
    url, caches = f"s3://flyball/{next(_names)}?endpoint={ENDPOINT}", count()
    return lambda: open_files("history", url, tmp_path / f"machine-{next(caches)}")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Open], None], open_store: Open) -> None:
    check(open_store)


def test_history_of_two_machines_that_write_at_once_has_each_record_once(open_store: Open, tmp_path: Path) -> None:
    """They take turns by chance: who was overtaken reads again from where the other one got to."""
    log = APPLICATION.partitioned(
        [APPLICATION.record("watch", START + number, user=number % 5, film="f1", minute=3) for number in range(240)]
    )
    pieces = divided(log, [[len(part) * number // 6 for part in log] for number in range(1, 6)])
    machines = [HistoryConsumer(APPLICATION.schema, open_store(), partitions=PARTITIONS, fan_in=3) for _ in range(2)]
    for number, slices in enumerate(pieces):
        for machine in machines:  # the second one has not seen what the first one wrote
            machine.apply(slices)
        for machine in machines if number % 2 else machines[::-1]:
            try:
                machine.flush()
            except StoreUnavailable:
                ends = machine.offsets()
                machine.apply([piece.part(ends[piece.partition], 1 << 40) for piece in slices])
                machine.flush()
    remote, local = open_store(), tmp_path / "local"
    alone = HistoryConsumer(APPLICATION.schema, local, partitions=PARTITIONS)
    for slices in pieces:
        alone.apply(slices)
    alone.flush()
    name = take_snapshot(local, APPLICATION.schema, 1 << 60).name
    assert take_snapshot(remote, APPLICATION.schema, 1 << 60).name == name
    assert History(remote, APPLICATION.schema).counts()["watch"] == 240


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """(endpoint, process) of a server that the test may end."""
    folder = tmp_path / "server"
    subprocess.run([ENGINE, "start", folder], check=True, capture_output=True, timeout=120)
    yield (folder / "address").read_text().strip(), int((folder / "pid").read_text())
    subprocess.run([ENGINE, "stop", folder], check=True, timeout=60)


def faults_of(files: FileStore) -> None:
    """Every operation says that the store does not answer."""
    for work in (
        lambda: files.read("a"),
        lambda: files.write("a", b"2"),
        lambda: files.write("a", None),
        lambda: files.names(),
        lambda: files.local("b"),
    ):
        with pytest.raises(StoreUnavailable, match="must answer"):
            work()


def test_a_server_that_is_frozen_or_killed_is_named_in_time_and_used_again(
    own_server: tuple[str, int], tmp_path: Path
) -> None:
    endpoint, process = own_server
    files = open_files("history", f"s3://flyball/x?endpoint={endpoint}&timeout_ms=1500", tmp_path / "cache")
    succeeds(lambda: files.write("a", b"1"), StoreUnavailable)  # it answers before it can write
    files.write("c", b"3")
    assert files.local("c").read_bytes() == b"3"
    freeze(process)
    faults_of(files)
    assert files.local("c").read_bytes() == b"3"  # the copy needs no server
    os.kill(process, signal.SIGCONT)
    stored = files.read("a")
    assert stored is not None
    assert stored.content in (b"1", b"2")  # what was asked of a frozen server may be done later
    subprocess.run([ENGINE, "stop", tmp_path / "server"], check=True, timeout=60)
    faults_of(files)
    subprocess.run([ENGINE, "start", tmp_path / "server"], check=True, capture_output=True, timeout=120)

    def is_used_again() -> bool:
        files.write("a", b"4")
        return files.local("a").read_bytes() == b"4"

    until(is_used_again, passing=(StoreUnavailable,))  # it serves its health page some time before it can write


def test_what_is_wrong_with_keys_bucket_and_options_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://flyball/x?endpoint={ENDPOINT}"
    with pytest.raises(BadSetting, match=r"option of s3:// must be one of .*endpoint.*, got 'endpont'"):
        open_files("history", f"s3://flyball/x?endpont={ENDPOINT}", tmp_path)
    with pytest.raises(BadSetting, match="keys in the environment, got keys in it"):
        open_files("history", f"s3://key:secret@flyball/x?endpoint={ENDPOINT}", tmp_path)
    with pytest.raises(BadSetting, match=r"must name a bucket, such as gs://bucket/shop/history, .* got none"):
        open_files("history", "gs://", tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    files = open_files("history", url, tmp_path)
    for work in (lambda: files.read("a"), lambda: files.write("a", b"1"), lambda: files.names()):
        with pytest.raises(BadSetting, match="the keys in the environment must be") as caught:
            work()
        assert "another" not in str(caught.value)


def test_copies_used_longest_ago_make_room_for_others(tmp_path: Path) -> None:
    url = f"s3://flyball/{next(_names)}?endpoint={ENDPOINT}&cache_mb=3"
    files = open_files("history", url, tmp_path)
    for number in range(5):
        files.write(f"parts/{number}", bytes(1 << 20))
    for number in range(3):
        path = files.local(f"parts/{number}")
        os.utime(path, (1_000 * number, 0))  # used long ago
    files.local("parts/0")  # and now
    files.local("parts/3")
    assert sorted(path.name for path in (files.folder / "parts").iterdir()) == ["0", "2", "3"]
    assert len(files.local("parts/1").read_bytes()) == 1 << 20
