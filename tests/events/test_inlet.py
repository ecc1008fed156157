"""Events go to the log, or to what shares commits with other callers."""

from pathlib import Path

from tests.events.home import NOW_US, Home

from flyball.events import Appended, Record


class Shared:
    """An appender that only notes what it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, records: list[Record]) -> Appended:
        self.records += records
        return Appended(len(records), [])


def test_records_go_to_the_log_unless_there_is_an_appender(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.inlet().appends is home.log
    shared = Shared()
    inlet = home.inlet(appender=shared)
    assert inlet.appends is shared
    inlet.appends.append([home.schema.check("joined", {"user": 7}, NOW_US, NOW_US)])
    assert ([record.key for record in shared.records], home.records()) == (["7"], [])
    home.close()


def test_a_source_is_live_or_history_without_a_lag_unless_declared(tmp_path: Path) -> None:
    home = Home(tmp_path)
    source = home.source("jsonl", mode="history")
    assert (source.lag_us, source.only, source.mode) == (0, None, "history")
    home.close()
