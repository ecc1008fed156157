"""`flyball findings` as a user types it."""

from pathlib import Path

from tests.cli.conftest import Run
from tests.monitoring.watch.shops import APP, shop


def test_a_fault_of_the_past_is_found_by_a_look_that_changes_nothing(run: Run, tmp_path: Path) -> None:
    def cents(hour: int, event: dict[str, object]) -> dict[str, object]:
        return {**event, "price": event["price"] * 100} if hour >= 9 * 24 else event  # type: ignore[operator]

    shop(tmp_path, 10, cents)
    Path("shop.py").write_text(APP)
    home = ["--home", str(tmp_path / "home")]
    shown = run("findings", "look", "shop.py", "--since", "2026-01-13", "--until", "2026-01-15", *home)
    assert shown.code == 0
    assert "looked at 8 windows, the last one until 2026-01-15T00:00:00Z" in shown.out
    assert "events.buy.price: values median" in shown.out
    as_json = run("findings", "look", "shop.py", "--since", "2026-01-13", "--until", "2026-01-15", *home, "--json").last
    news = [finding for latest in as_json for finding in latest["new"]]
    assert [(finding["monitor"], finding["subject"]) for finding in news] == [("shift", "events.buy.price")]
    assert "Not looked at yet" in run("findings", "list", "shop.py", *home).out


def test_looks_and_lists_say_how_far_they_got(run: Run, tmp_path: Path) -> None:
    shop(tmp_path, 1)
    Path("shop.py").write_text(APP)
    home = ["--home", str(tmp_path / "home")]
    assert "looked at 0 windows" in run("findings", "look", "shop.py", *home).out
    listed = run("findings", "list", "shop.py", *home)
    assert "0 monitors, the last look at" in listed.out
    assert "no findings" in listed.out
    assert run("findings", "list", "shop.py", *home, "--json").last["findings"] == []
    refused = run("findings", "look", "shop.py", "--until", "2026-01-15", *home)
    assert "--until must be given together with --since" in refused.err
