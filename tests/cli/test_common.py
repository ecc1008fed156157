"""What commands have in common: where they look for the events of an application."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run


def test_a_log_elsewhere_is_enough_where_there_is_no_home(shop: Run, tmp_path: Path) -> None:
    """As in a container whose stores are servers, and whose home is empty at each start."""
    assert shop("ingest", "shop.py", "shop-events.jsonl", "--as", "history", "--home", "first").code == 0
    refused = shop("versions", "list", "shop.py", "--home", "second")
    assert refused.code == 2
    assert "flyball ingest makes some" in refused.err
    assert not Path("second").exists()
    events = f"sqlite://{tmp_path}/first/events.db?partitions=4"
    assert shop("versions", "list", "shop.py", "--home", "second", "--events", events).code == 0


@pytest.mark.parametrize(("name", "mode", "private"), [(".", 0o777, 0o700), ("registry.db", 0o666, 0o600)])
def test_a_home_that_everybody_may_write_is_not_opened(shop: Run, name: str, mode: int, private: int) -> None:
    assert shop("ingest", "shop.py", "shop-events.jsonl", "--as", "history", "--home", "open").code == 0
    assert shop("backup", "shop.py", "--home", "open", "--to", "copies").code == 0  # which makes a registry
    path = Path("open") / name
    assert path.stat().st_mode & 0o777 == private
    path.chmod(mode)
    refused = shop("status", "shop.py", "--home", "open")
    assert (refused.code, f"chmod o-w {path.resolve()}" in refused.err) == (1, True), refused.err
    path.chmod(private)
    assert shop("status", "shop.py", "--home", "open").code == 0
