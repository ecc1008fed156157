"""`new`, `check` and what every command does with an application that is wrong."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.cli.conftest import Run

import flyball as fb
from flyball.app import load_app
from flyball.cli.common import settings_for
from flyball.cli.main import code_of, main
from flyball.core import Refused, SystemClock
from flyball.runtime import Runtime, load_settings
from flyball.simulation import new_plan, seed_home, simulate
from flyball.testing.world_contract import check_a_seed_decides_everything, check_quality_is_known_of_every_response


def test_what_new_writes_checks(shop: Run) -> None:
    assert "shop: OK" in shop("check", "shop.py").out
    message = shop("check", "shop.py", "--json").last
    assert message["ok"] is True
    assert message["events"]["buy"] == ["visitor", "item", "price"]


def test_a_new_application_that_predicts_checks_takes_its_events_in_and_lives(run: Run) -> None:
    assert run("new", "repairs", "--kind", "predict").code == 0
    assert "predict: answers value for each repair" in run("check", "repairs.py").out
    lines = Path("repairs-events.jsonl").read_bytes().splitlines()
    taken = run("ingest", "repairs.py", "repairs-events.jsonl", "--json").last
    assert sum(taken["accepted"].values()) == len(lines) > 5_000
    assert not taken["quarantined"]
    app = load_app("repairs.py")
    check_a_seed_decides_everything(app)
    check_quality_is_known_of_every_response(app)
    report = simulate(app, days=1, repairs_a_day=150)
    assert report.learned[0].released, report.learned[0].reason
    (served,) = [version for version in report.versions if version.version]
    assert served.true["closeness"] > served.references["always_nine"]["closeness"] + 0.5
    for version in report.versions:
        assert version.measured["done"] == pytest.approx(version.outcomes["done"], abs=1e-4)


def test_a_new_application_that_decides_takes_its_events_in_lives_and_saves(run: Run) -> None:
    assert run("new", "invoices", "--kind", "predict", "--target", "probability").code == 0
    assert "predict: answers probability for each order" in run("check", "invoices.py").out
    lines = [json.loads(line) for line in Path("invoices-events.jsonl").read_bytes().splitlines()]
    orders = {line["order"] for line in lines if line["type"] == "order"}
    assert {line["order"] for line in lines} == orders
    taken = run("ingest", "invoices.py", "invoices-events.jsonl", "--json").last
    assert sum(taken["accepted"].values()) == len(lines) > 4_000
    app = load_app("invoices.py")
    check_a_seed_decides_everything(app)
    check_quality_is_known_of_every_response(app)
    report = simulate(app, days=1, orders_a_day=200)
    assert report.learned[0].released, report.learned[0].reason
    (served,) = [version for version in report.versions if version.version]
    assert served.references["oracle"]["saved"] > served.true["saved"] > 0.15 * served.references["oracle"]["saved"]


def test_the_labels_beside_a_new_application_that_decides_are_final(run: Run) -> None:
    """As many of the last orders are unpaid as of the others: none is a negative only because the file ends."""
    run("new", "invoices", "--kind", "predict", "--target", "probability")
    lines = [json.loads(line) for line in Path("invoices-events.jsonl").read_bytes().splitlines()]
    unpaid = {line["order"] for line in lines if line["type"] == "unpaid"}
    orders = [line["order"] for line in lines if line["type"] == "order"]
    last = [order in unpaid for order in orders[-480:]]  # six days, each invoice due after two to seven
    assert sum(last) / 480 == pytest.approx(len(unpaid) / len(orders), abs=0.025)


def test_new_knows_its_kinds(run: Run) -> None:
    got = run("new", "shop", "--kind", "guess")
    assert got.code == 2
    assert "kind must be one of recommend, predict" in got.err
    for words in (["--kind", "predict", "--target", "guess"], ["--target", "probability"]):
        got = run("new", "shop", *words)
        assert (got.code, Path("shop.py").exists()) == (2, False)
        assert "target must be one of number, probability, of the kind predict" in got.err


def test_new_writes_over_nothing(shop: Run) -> None:
    Path("shop.py").write_text("mine")
    got = shop("new", "shop")
    assert (got.code, Path("shop.py").read_text()) == (1, "mine")
    assert "shop.py must not exist yet" in got.err


def test_new_refuses_odd_names(run: Run) -> None:
    got = run("new", "../shop")
    assert got.code == 2
    assert "name must be lower-case letters" in got.err


HEAD = "import flyball as fb\n"
WRONG = {
    "syntax.py": (HEAD + "x = = 3\n", "syntax.py:2: SyntaxError: invalid syntax"),
    "name.py": (HEAD + "\n\nx = y\n", "name.py:4: NameError: name 'y' is not defined"),
    "within.py": (HEAD + "\ndef f():\n    raise ValueError('no')\n\nf()\n", "within.py:4: ValueError: no"),
    "imports.py": ("import nothing_of_that_name\n", "imports.py:1: ModuleNotFoundError: No module named"),
    "declared.py": (HEAD + "fb.outcome(fb.Event, within='7 moons')\n", "declared.py:2: "),
    "empty.py": ("", "empty.py must be a file that declares app = fb.App(...)"),
    "binary.py": ("\x00\x01", "binary.py"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", [["check"], ["status"], ["learn"], ["up"], ["ingest", "-"]])
def test_a_broken_application_is_named_by_file_and_line(run: Run, name: str, command: list[str]) -> None:
    text, message = WRONG[name]
    Path(name).write_text(text)
    got = run(command[0], name, *command[1:], stdin="")
    assert (got.code, got.out) == (2, "")
    assert got.err.startswith(f"flyball: {message}")
    assert len(got.err.strip().splitlines()) == 1
    assert not Path(".flyball").exists()


@pytest.mark.parametrize("edit", [("candidates={", "candidates={}, extra={"), ('within="7d"', 'within="7 moons"')])
def test_check_says_where_in_json(shop: Run, edit: tuple[str, str]) -> None:
    source = Path("shop.py").read_text().replace(*edit)
    Path("other.py").write_text(source)
    got = shop("check", "other.py", "--json")
    assert (got.code, got.last["ok"]) == (2, False)
    assert got.last["where"].startswith("other.py:")


def test_check_refuses_a_setting_that_the_simulated_world_lacks(shop: Run) -> None:
    source = Path("shop.py").read_text()
    assert 'fb.world("shop", ' in source
    Path("other.py").write_text(source.replace('fb.world("shop", ', 'fb.world("shop", userz=5, '))
    got = shop("check", "other.py")
    assert (got.code, got.out) == (2, "")
    assert got.err.startswith("flyball: setting of the world of shop must be one of ")
    assert got.err.strip().endswith(", got 'userz'")
    assert shop("check", "other.py", "--json").last["where"] == "world"


def test_an_unknown_application_is_answered_with_what_there_is(shop: Run) -> None:
    got = shop("check", "shop")
    assert got.code == 2
    assert got.err.startswith("flyball: no application 'shop'; known: delivery, fraud, movies")
    assert "shop.py is a file here" in got.err


def test_looking_makes_no_home(shop: Run) -> None:
    for words in (
        ["status"],
        ["versions", "list"],
        ["versions", "rollback"],
        ["quarantine", "list"],
        ["export"],
        ["learn"],
        ["recommend"],
    ):
        got = shop(*words, "shop.py", *{"export": ["view"], "recommend": ["7"]}.get(words[0], []))
        assert got.code == 2, words
        assert "no state of shop yet" in got.err
    assert not Path(".flyball").exists()


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["--version"], 0, "flyball 0", ""),
        (["ingest", "nothing.py", "-"], 2, "", "flyball: no application file 'nothing.py'; name one that"),
        (["ingest"], 2, "", "Usage: "),
        (["nonsense"], 2, "", "Usage: "),
    ],
)
def test_the_program_itself_never_shows_a_traceback(
    tmp_path: Path, words: list[str], code: int, out: str, err: str
) -> None:
    done = subprocess.run([sys.executable, "-m", "flyball", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stdout.startswith(out)
    assert done.stderr.startswith(err)
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "flyball", "new", "shop"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert "Traceback" not in done.stderr


def test_a_closed_standard_input_is_one_line(shop: Run, tmp_path: Path) -> None:
    line = f"{sys.executable} -m flyball ingest shop.py - <&-"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "flyball: standard input must be open, got 'closed'\n")


def test_the_version_needs_no_heavy_room() -> None:
    heavy = "{'numpy', 'polars', 'sqlalchemy', 'starlette', 'rich.console'}"
    code = f"import flyball.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("fb.EASE()", "fb.Ease()"), "module 'flyball' has no attribute 'Ease'; did you mean EASE?"),
        (("import flyball as fb", "import flyball as fb\nraise SystemExit(3)"), "SystemExit: 3"),
        (
            ("app = fb.App(", "shop = fb.App("),
            "must be a file that declares app = fb.App(...), got 'one that declares shop",
        ),
    ],
)
def test_check_says_what_was_meant(shop: Run, edit: tuple[str, str], message: str) -> None:
    Path("other.py").write_text(Path("shop.py").read_text().replace(*edit))
    got = shop("check", "other.py")
    assert got.code == 2
    assert message in got.err


def test_a_mistake_in_the_users_own_function_is_reported_with_its_line(shop: Run) -> None:
    file = Path("shop.py")
    file.write_text(file.read_text() + "\n\ndef group(card):\n    return card.kategory\n")
    load_app("shop.py")
    with pytest.raises(AttributeError) as wrong:
        sys.modules["flyball_app_shop"].group(SimpleNamespace(category="toys"))
    line = len(file.read_text().splitlines())
    code, message = code_of(wrong.value)
    assert (code, message.split(": ")[:2]) == (2, ["flyball", f"shop.py:{line}"])
    assert message.endswith("; did you mean category?")
    with pytest.raises(ZeroDivisionError):  # one of Flyball's own keeps its traceback, to be reported
        code_of(ZeroDivisionError())


OS_ERRORS = {
    errno.ENOSPC: "the disk must have room for a.db, got: No space left on device; free some and run the same",
    errno.EACCES: "a.db must be one that .* may read and write, got: Permission denied; allow it, or name another",
    errno.EROFS: "a.db must be one that .* may read and write, got: Read-only file system; allow it",
    errno.EEXIST: "a.db must be there, of the right kind, got: File exists; name another path",
    errno.EMFILE: "a.db must be opened, got: Too many open files; raise the limit of open files",
    errno.EIO: "a.db must be usable, got: Input/output error; correct that and run the same command again",
}


@pytest.mark.parametrize("number", OS_ERRORS)
def test_what_the_operating_system_refuses_is_reported_with_what_to_do(number: int) -> None:
    code, message = code_of(OSError(number, os.strerror(number), "a.db"))
    assert code == 1
    assert re.match(f"flyball: {OS_ERRORS[number]}", message)
    code, message = code_of(OSError(number, os.strerror(number)))
    assert re.match("flyball: (the disk|a file or folder) must ", message)


@pytest.mark.parametrize(
    "command", [["check"], ["ingest", "shop-events.jsonl"], ["learn"], ["up", "--port", "0"], ["status"]]
)
def test_a_home_that_is_no_folder_is_reported(shop: Run, command: list[str]) -> None:
    Path("afile").write_text("")
    got = shop(command[0], "shop.py", *command[1:], "--home", "afile")
    assert (got.code, got.out) == (2, "")
    assert got.err.startswith("flyball: home ")
    assert got.err.endswith("/afile must be a folder, got a file; choose another --home")
    got = shop("ingest", "shop.py", "shop-events.jsonl", "--home", "afile/below")
    assert got.code == 2
    assert "/afile/below must be a folder that exists or can be made" in got.err
    assert "choose another --home" in got.err


def test_a_file_imports_what_lies_beside_it_wherever_it_is_named_from(shop: Run) -> None:
    Path("own").mkdir()
    Path("own/limits.py").write_text("K = 7\n")
    Path("own/random.py").write_text("raise ImportError('stands in for the one of Python')\n")
    Path("own/shop.py").write_text("import limits\n" + Path("shop.py").read_text().replace("k=10", "k=limits.K"))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flyball", "check", "own/shop.py"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "7 at a time" in done.stdout


def test_ctrl_c_before_a_command_begins_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["flyball.cli.main"], "app", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


@pytest.mark.parametrize(("option", "value"), [("--port", "99999"), ("--port", "-1"), ("--workers", "0")])
def test_up_refuses_numbers_it_cannot_use(shop: Run, option: str, value: str) -> None:
    got = shop("up", "shop.py", option, value)
    assert got.code == 2
    assert option in got.err


def test_settings_are_shown_with_where_they_came_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("new", "shop")
    monkeypatch.setenv("FLYBALL_STATE", "redis://:s3cret@cache:6379/0")
    Path(".flyball/shop").mkdir(parents=True)
    Path(".flyball/shop/settings.toml").write_text("port = 8090\n[app]\nstars = 10\n")
    shown = run("settings", "shop.py", "--json").last
    assert (shown["settings"]["port"], shown["sources"]["port"][-13:]) == (8090, "settings.toml")
    assert (shown["settings"]["state"], shown["sources"]["state"]) == ("redis://:***@cache:6379/0", "FLYBALL_STATE")
    assert (shown["settings"]["app"], shown["sources"]["workers"]) == ({"stars": 10}, "default")
    text = run("settings", "shop.py").out
    assert "s3cret" not in text
    assert "app.stars" in text
    monkeypatch.setenv("FLYBALL_WORKERS", "0")
    refused = run("settings", "shop.py")
    assert (refused.code, refused.err) == (
        2,
        "flyball: setting workers (FLYBALL_WORKERS) must be from 1 to 1000, got 0",
    )


def test_what_new_writes_lives_in_its_own_world(shop: Run) -> None:
    report = shop("simulate", "shop.py", "--days", "1", "--users", "80", "--items", "40", "--json").last
    assert report["settings"] == {"users": 80, "items": 40, "k": 10}
    assert sum(report["levels"].values()) == report["answers"] > 40
    assert report["quarantined"] == {}
    assert not Path(".flyball").exists()


@pytest.mark.parametrize("command", [["up", "--world"], ["simulate", "--days", "1"]])
def test_an_application_without_a_world_is_answered_with_how_to_add_one(shop: Run, command: list[str]) -> None:
    source = Path("shop.py").read_text()
    Path("alone.py").write_text("\n".join(line for line in source.splitlines() if "world" not in line.lower()) + "\n")
    got = shop(command[0], "alone.py", *command[1:])
    assert (got.code, got.out) == (2, "")
    assert "application 'shop' must be one that names a world" in got.err
    assert 'world=fb.world("shop")' in got.err
    assert "a new world" not in got.err
    assert not Path(".flyball").exists()


def test_the_step_of_a_simulation_may_be_chosen(shop: Run) -> None:
    small = ("--days", "1", "--users", "80", "--items", "40", "--past-days", "1", "--json")
    hourly, coarser = (shop("simulate", "shop.py", *small, "--step", step).last for step in ("1h", "6h"))
    assert hourly["digest"] != coarser["digest"]
    assert hourly["digest"] == shop("simulate", "shop.py", *small).last["digest"]
    got = shop("simulate", "shop.py", "--step", "5s")
    assert (got.code, got.err) == (2, "flyball: step must be 1m or longer, got '5s'")


def test_a_world_is_refused_in_a_home_with_real_events(shop: Run) -> None:
    assert shop("ingest", "shop.py", "shop-events.jsonl").code == 0
    before = events_in(Path(".flyball/shop"))
    got = shop("up", "shop.py", "--world", "--home", ".flyball/shop", "--port", "0")
    assert got.code == 1
    assert "/.flyball/shop must be new or made by --world" in got.err
    assert "2,712 events" in got.err
    assert "choose another --home" in got.err.lower()
    assert events_in(Path(".flyball/shop")) == before
    assert not Path(".flyball/shop/world.json").exists()


def test_a_world_has_a_home_of_its_own(run: Run) -> None:
    assert settings_for("shop.py", None, world=True).folder == Path(".flyball/shop-world").absolute()
    assert settings_for("shop.py", Path("mine"), world=True).folder == Path("mine").absolute()
    assert settings_for("shop.py", None).folder == Path(".flyball/shop").absolute()


@pytest.mark.parametrize("by", ["world", "begun world", "simulation"])
def test_a_file_is_refused_in_a_home_that_a_world_wrote_into(shop: Run, by: str) -> None:
    home = Path("made-up")
    if by == "simulation":
        assert shop("simulate", "shop.py", "--days", "1", "--users", "60", "--items", "30", "--home", home).code == 0
    else:
        runtime = Runtime(load_app("shop.py"), load_settings(home), SystemClock())
        seed_home(runtime, new_plan(runtime.app, runtime.clock.now_us(), days=1, users=60, items=30))
        if by == "begun world":
            runtime.layout.world.rename(runtime.layout.world_begun)
    before = events_in(home)
    got = shop("ingest", "shop.py", "shop-events.jsonl", "--home", home)
    assert (got.code, got.out) == (1, "")
    assert "/made-up must hold no simulated events to ingest a file" in got.err
    assert "choose another --home" in got.err
    assert events_in(home) == before
    assert shop("ingest", "shop.py", "shop-events.jsonl", "--home", home, "--dry-run").code == 0
    assert shop("ingest", "shop.py", "shop-events.jsonl", "--home", home, "--into-world").code == 0
    assert events_in(home) == before + 2_712


def events_in(home: Path) -> int:
    return sum(Runtime(load_app("shop.py"), load_settings(home), SystemClock()).log.ends())


def test_a_setting_that_the_world_does_not_have_is_reported(shop: Run) -> None:
    got = shop("simulate", "shop.py", "--world-set", "visits=3")
    assert got.code == 2
    assert "one of view, buy, card, users, items, k, visits_a_day, within, got 'visits'" in got.err


def test_check_tells_what_any_kind_of_task_answers(run: Run) -> None:
    got = run("check", str(Path(__file__).parents[1] / "toy" / "delivery.py"))
    assert got.code == 0
    assert "minutes: answers minutes for each order, within 300ms" in got.out
    assert "label minutes: delivery ((elapsed_us / 60000000)) within 6h" in got.out
    assert "joined delivery(order, kitchen, km, elapsed_us)" in got.out


def test_a_home_that_others_may_write_is_opened_by_no_command(shop: Run) -> None:
    home = Path(".flyball/shop")
    home.mkdir(parents=True)
    (home / "settings.toml").write_text("")
    (home / "settings.toml").chmod(0o666)
    for words in (["check"], ["settings"], ["init", "deploy"], ["keys", "list"]):
        refused = shop(*words, "shop.py")
        assert refused.code != 0
        assert "must not be writable by everybody" in refused.err
    with pytest.raises(Refused, match="must not be writable by everybody"):
        fb.open("shop.py")
