"""Every backend in the table passes the contract of the event log."""

from pathlib import Path

from tests.kafka_broker import log_url, needs_kafka

from flyball.events import BACKENDS, Slice, after_slices, partition
from flyball.testing.log_contract import PlainLog, RestorableLogContract, record


class TestSqlite(RestorableLogContract):
    def url(self, folder: Path, partitions: int) -> str:
        return f"sqlite://{folder}/events.db?partitions={partitions}"


@needs_kafka
class TestKafka(RestorableLogContract):
    def url(self, folder: Path, partitions: int) -> str:
        return log_url(folder, f"partitions={partitions}")


COVERED = {"sqlite": TestSqlite, "kafka": TestKafka}


def test_every_backend_is_covered() -> None:
    assert COVERED.keys() == BACKENDS.keys()


def test_the_oracle_keeps_its_own_word() -> None:
    log = PlainLog(2)
    assert log.append([record(1, "a"), record(2, "b"), record(1, "a")]).duplicates == [2]
    assert sum(log.ends()) == 2


def test_offsets_after_slices_never_go_back() -> None:
    assert after_slices((5, 0), [Slice(0, 2, [record(1)]), Slice(1, 0, [record(2), record(3)])]) == (5, 2)


def test_partitions_are_stable_for_ever() -> None:
    assert [partition(key, 4) for key in ("1", "2", "é", "user-17")] == [3, 1, 2, 1]
