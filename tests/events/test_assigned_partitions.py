"""A part of a log, read as if it were all of it."""

from pathlib import Path

from flyball.events import AssignedPartitions, Record, after_slices, open_log


def test_it_reads_its_partitions_alone_each_record_once(tmp_path: Path) -> None:
    log = open_log(f"sqlite://{tmp_path}/events.db?partitions=4")
    log.append([Record("watch", str(number), 1, 1, number.to_bytes(16, "big"), b"") for number in range(40)])
    parts = [AssignedPartitions(log, held) for held in ([1, 3], [0], [2])]
    read = list[tuple[int, int]]()
    for part in parts:
        offsets = part.within((0, 0, 0, 0))
        while pieces := part.read(offsets, 3):
            read += [(piece.partition, piece.first + index) for piece in pieces for index in range(len(piece.records))]
            offsets = part.within(after_slices(offsets, pieces))
        assert offsets == part.ends()
    assert len(read) == len(set(read)) == sum(log.ends()) == 40
    assert parts[0].ends() == (0, log.ends()[1], 0, log.ends()[3])
    assert parts[0].schemas is log.schemas


def test_what_is_appended_to_other_partitions_is_left_out(tmp_path: Path) -> None:
    log = open_log(f"sqlite://{tmp_path}/events.db?partitions=2")
    part = AssignedPartitions(log, [0])
    part.append([Record("watch", str(number), 1, 1, number.to_bytes(16, "big"), b"") for number in range(20)])
    assert {piece.partition for piece in part.read((0, 0), 100)} == {0}
    assert part.groups.committed("nobody") == (0, 0)
