"""`flyball findings` as a user types it."""

from pathlib import Path

from tests.cli.conftest import Run
from tests.monitoring.watch.shops import APP, DAY_US, START_US, shop

from flyball.monitoring import Watcher


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
    for command in ("look", "look", "list"):
        shown = run("findings", command, "shop.py", *home).out
        assert "watching starts at 20" in shown
        assert "Z, and no window has ended since; flyball findings look --since looks at the past" in shown
        assert "no findings" not in shown
        assert "last look" not in shown
    listed = run("findings", "list", "shop.py", *home, "--json").last
    assert (listed["findings"], listed["looked_until_us"]) == ([], None)
    refused = run("findings", "look", "shop.py", "--until", "2026-01-15", *home)
    assert "--until must be given together with --since" in refused.err


def test_a_lasting_shift_is_accepted_shown_and_undone(run: Run, tmp_path: Path) -> None:
    def dearer(hour: int, event: dict[str, object]) -> dict[str, object]:
        return {**event, "price": event["price"] * 30} if hour >= 9 * 24 else event  # type: ignore[operator]

    runtime = shop(tmp_path, 10, dearer)
    Path("shop.py").write_text(APP)
    home = ["--home", str(tmp_path / "home")]
    Watcher(runtime, lambda latest: None).step(START_US + 9 * DAY_US + 300_000_000)
    Watcher(runtime, lambda latest: None).step(runtime.clock.now_us())
    (finding,) = run("findings", "list", "shop.py", *home, "--json").last["findings"]
    assert finding["id"] in run("findings", "list", "shop.py", *home).out
    refused = run("findings", "accept", "shop.py", finding["id"], *home)
    assert (refused.code, "a reason must be given" in refused.err) == (1, True)
    accepted = run("findings", "accept", "shop.py", finding["id"], "--reason", "new prices", "--by", "ann", *home)
    assert "shift of events.buy.price is compared with what came since 2026-01-14" in accepted.out, accepted.err
    listed = run("findings", "list", "shop.py", *home).out
    assert "no findings" in listed
    assert f"by ann: new prices ({finding['id']})" in listed
    undone = run("findings", "accept", "shop.py", finding["id"], "--undo", "--reason", "a mistake", *home)
    assert "is compared with all of the past" in undone.out
    assert "accepted:" not in run("findings", "list", "shop.py", *home).out


def test_a_look_at_no_window_or_at_nothing_known_says_so(run: Run, tmp_path: Path) -> None:
    shop(tmp_path, 10)
    Path("shop.py").write_text(APP)
    home = ["--home", str(tmp_path / "home")]
    for until in ("2026-01-12", "2026-01-13"):
        none = run("findings", "look", "shop.py", "--since", "2026-01-13", "--until", until, *home)
        assert none.code == 2
        assert f"--since must be before a window of 6h that ended by {until}" in none.err
    future = run("findings", "look", "shop.py", "--since", "2026-01-08", "--until", "2099-01-01", *home)
    assert (future.code, "or before: no window of the future has ended, got '2099-01-01'" in future.err) == (2, True)
    early = run("findings", "look", "shop.py", "--since", "2025-01-01", "--until", "2025-01-02", *home)
    assert "nothing was compared: a week of events before a window must be known" in early.out
    assert "no findings" not in early.out


def test_a_fault_of_our_own_is_accepted_only_if_it_is_said_to_stay(run: Run, tmp_path: Path) -> None:
    runtime = shop(tmp_path, 10, lambda hour, event: event if hour < 9 * 24 else None)
    Path("shop.py").write_text(APP)
    home = ["--home", str(tmp_path / "home")]
    Watcher(runtime, lambda latest: None).step(START_US + 9 * DAY_US + 300_000_000)
    Watcher(runtime, lambda latest: None).step(runtime.clock.now_us())
    (finding,) = run("findings", "list", "shop.py", *home, "--json").last["findings"]
    assert (finding["monitor"], finding["origin"]) == ("volume", "own")
    accept = ["findings", "accept", "shop.py", finding["id"], "--reason", "closed for good", *home]
    refused = run(*accept)
    assert (refused.code, "must be a change of the world, got a fault of our own, 'events.buy had" in refused.err) == (
        1,
        True,
    )
    assert "volume of events.buy is compared with" in run(*accept, "--even-own").out
