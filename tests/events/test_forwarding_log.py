"""Every call reaches the log behind it, and its answer comes back."""

from pathlib import Path

import pytest

from flyball.core import StoreUnavailable
from flyball.events import ForwardingLog, open_log, read_where
from flyball.testing.log_contract import PlainLog, as_written, record, written


def test_a_log_is_written_and_read_through_it(tmp_path: Path) -> None:
    log = open_log(f"sqlite://{tmp_path}/events.db?partitions=2")
    through = ForwardingLog(log)
    through.schemas.offer([written("wide")])
    records = [as_written(record(number, "a"), written("wide")) for number in range(1, 8)]
    assert through.append(records).written == 7
    assert through.append(records[:2]).duplicates == [0, 1]
    assert through.ends() == log.ends()
    assert through.read((0, 0), 100) == log.read((0, 0), 100)
    (partition,) = {piece.partition for piece in log.read((0, 0), 100)}
    wanted = (partition, 1, 5, {"thing": 0}, (3_000, 5_000))
    assert list(through.read_where(*wanted)) == list(read_where(log, *wanted))
    assert sum(len(piece.records) for piece in through.read_where(*wanted)) < 7
    assert through.schemas.stored() == log.schemas.stored() == [written("wide")]
    assert through.groups.committed("nobody") == (0, 0)


def test_it_is_closed_with_the_log_behind_it(tmp_path: Path) -> None:
    ForwardingLog(PlainLog()).close()  # which has nothing to close

    class Closing(PlainLog):
        def close(self) -> None:
            raise StoreUnavailable("closed")

    with pytest.raises(StoreUnavailable, match="closed"):
        ForwardingLog(Closing()).close()
