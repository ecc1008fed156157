"""Learning, releasing, asking, explaining: through the command line on a tiny shop, learned once."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Run, call
from tests.processes import LONG_S, until

from flyball.app import App
from flyball.core import Refused

Documents = dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop that has learned once."""
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call("new", "shop")
        shop = Path("shop.py").read_text()
        Path("shop.py").write_text(shop.replace("candidates={", 'candidates={"luck": fb.Random(), '))
        call("ingest", "shop.py", "shop-events.jsonl")
        Path("learned.json").write_text(call("learn", "shop.py", "--as-of", "2026-03-05", "--json").out)
    return folder


@pytest.fixture
def report(learned: Path, run: Run, tmp_path: Path) -> dict[str, object]:
    """A copy of that folder to work in; what learn reported."""
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    found: dict[str, object] = json.loads((tmp_path / "learned.json").read_text().splitlines()[-1])
    return found


def states(run: Run) -> dict[str, str]:
    listed = run("versions", "list", "shop.py", "--json").last["versions"]
    return {version["id"]: version["state"] for version in listed}


def test_learn_releases_the_chosen_one_and_versions_shows_it(report: dict[str, object], run: Run) -> None:
    assert (report["status"], report["released"], report["champion"]) == ("done", True, report["chosen"])
    assert states(run)[str(report["chosen"])] == "champion"
    assert f"{report['chosen']} " in run("versions", "list", "shop.py").out


def test_check_tells_what_an_edited_file_would_take_out_of_service(report: dict[str, object], run: Run) -> None:
    assert run("check", "shop.py").code == 0
    Path("edited.py").write_text(Path("shop.py").read_text().replace("Buy", "Purchase"))
    got = run("check", "edited.py", "--home", ".flyball/shop")
    assert (got.code, got.out.splitlines()[0]) == (1, "shop: declared, but its home does not fit it")
    lines = [line.strip() for line in got.out.splitlines()]
    (lost,) = [line for line in lines if line.startswith("in the log, but no longer declared: ")]
    assert "event type buy, 750 events: " in lost
    assert 'former_names = ("buy",)' in lost
    (out,) = [line for line in lines if "will go out of service" in line]
    assert out.startswith(f"{report['champion']} (champion) will go out of service: event type Buy must be declared")
    assert out.endswith("learn before you deploy this file")
    message = run("check", "edited.py", "--home", ".flyball/shop", "--json").last
    assert (message["ok"], message["where"], message["undeclared"][0]["events"]) == (False, "home", 750)
    assert [(one["version"], one["role"]) for one in message["out_of_service"]] == [(report["champion"], "champion")]


def test_check_lets_a_file_pass_that_takes_only_the_previous_champion_out(report: dict[str, object], run: Run) -> None:
    assert report["champion"] == "v3"
    assert run("versions", "release", "shop.py", "v2").code == 0
    (before,) = [one for one in run("versions", "list", "shop.py", "--json").last["versions"] if one["id"] == "v3"]
    shutil.rmtree(Path(".flyball/shop/artifacts", before["artifact"]))
    got = run("check", "shop.py")
    assert "v3 (previous) will go out of service: " in got.out
    assert (got.code, got.out.splitlines()[0]) == (0, "shop: OK")


def test_learn_says_once_what_no_class_declares_any_more(report: dict[str, object], run: Run) -> None:
    shop = Path("shop.py").read_text()
    price = "price: Annotated[float, fb.real(0, 100_000)]"
    Path("edited.py").write_text(shop.replace(price, "paid: float = 0.0").replace("buy=Buy, ", ""))
    got = run("learn", "edited.py", "--home", ".flyball/shop", "--as-of", "2026-03-05")
    said = (
        'no longer declared: field Buy.price: if it has another name now (perhaps paid), say there fb.renamed("price")'
    )
    assert got.err.count(f"in the log, but {said}") == 1
    assert "cannot serve with this file" not in got.err
    Path("edited.py").write_text(shop.replace("category: str | None", "kind: str | None"))
    sys.modules.pop("flyball_app_edited")
    got = run("learn", "edited.py", "--home", ".flyball/shop", "--as-of", "2026-03-05")
    assert got.err.count(" (champion) cannot serve with this file: ") == 1


def test_learn_names_the_chosen_one_once(report: dict[str, object], run: Run) -> None:
    message = run("learn", "shop.py", "--as-of", "2026-03-05").out
    (line,) = [line for line in message.splitlines() if line.startswith("chosen: ")]
    chosen = line.split()[1].rstrip(":")
    assert not line.startswith(f"chosen: {chosen}: {chosen} ")


def test_learn_without_a_winner_says_why_and_exits_with_1(shop: Run) -> None:
    """Cron looks at the exit code alone."""
    text = Path("shop.py").read_text()
    never = 'gates=fb.gates(at_least={"coverage@10": 1.5}),\n    candidates={'
    Path("shop.py").write_text(text.replace("candidates={", never))
    assert shop("ingest", "shop.py", "shop-events.jsonl").code == 0
    ran = shop("learn", "shop.py", "--as-of", "2026-03-05", "--workers", "1")
    assert ran.code == 1
    assert "no candidate passed its gates" in ran.out
    assert "it must be at least 1.5, the whole interval" in ran.out
    assert states(shop) != {}


def test_a_rejected_version_cannot_be_released(report: dict[str, object], run: Run) -> None:
    rejected = [name for name, state in states(run).items() if state == "rejected"]
    assert rejected, "drawing at random does not beat drawing at random"
    before = states(run)
    got = run("versions", "release", "shop.py", rejected[0])
    assert got.code == 1
    assert got.err.startswith(f"flyball: {rejected[0]} must have passed its gates to serve, got rejected: ")
    assert states(run) == before


def gone(app: App, declaration: object, written: object = ()) -> None:
    """As when the application declares no more what a version was learned from."""
    raise Refused("event type Rate must be declared")


def test_release_and_rollback(report: dict[str, object], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = str(report["champion"])
    other = next(name for name, state in states(run).items() if state == "candidate")
    assert (
        run("versions", "release", "shop.py", other, "--reason", "try it", "--json").last["state"]["champion"] == other
    )
    assert run("recommend", "shop.py", 7, "--json").last["version"] == other
    with monkeypatch.context() as patch:
        patch.setattr(App, "task_of", gone)
        for words in (["versions", "rollback", "shop.py"], ["versions", "release", "shop.py", first]):
            refused = run(*words)
            assert (refused.code, states(run)[other]) == (1, "champion")
            assert refused.err.startswith(f"flyball: {first} with arrangement a1 must open in today's application")
    back = run("versions", "rollback", "shop.py")
    assert (back.code, states(run)[first]) == (0, "champion")
    assert back.out.startswith(f"{first} (")
    again = run("versions", "rollback", "shop.py")
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("flyball: rollback must have an earlier champion")


def test_an_unknown_version_is_answered_with_which_there_are(report: dict[str, object], run: Run) -> None:
    got = run("versions", "release", "shop.py", "v99")
    assert got.code == 2
    assert got.err.startswith("flyball: no version 'v99'; known: ")


def test_recommend_why_and_replay_agree(report: dict[str, object], run: Run) -> None:
    answer = run("recommend", "shop.py", 7, "--json").last
    assert (answer["level"], answer["version"], len(answer["items"])) == ("champion", report["champion"], 10)
    why = run("why", "shop.py", answer["id"], "--json").last
    assert [item["item"] for item in why["items"]] == answer["items"]
    assert why["version"]["snapshot"] == report["snapshot"]
    assert answer["items"][0] in run("why", "shop.py", answer["id"]).out
    replayed = run("replay", "shop.py", answer["id"], "--json")
    assert (replayed.code, replayed.last["identical"]) == (0, True)


def test_many_answers_are_replayed_by_workers(report: dict[str, object], run: Run) -> None:
    for user in (7, 8, 9):
        run("recommend", "shop.py", user)
    got = run("replay", "shop.py", "--answers", 2, "--workers", 2, "--json")
    assert got.code == 0
    assert got.last == {"answers": 3, "replayed": 2, "identical": 2, "failures": {}, "different": []}
    assert run("replay", "shop.py", "--answers", 9).out == "3 of 3 identical, bit for bit (of 3 in the log)\n"
    for arguments, what in (([], "neither"), (["x", "--answers", 2], "both")):
        got = run("replay", "shop.py", *arguments)
        assert (got.code, f"must be given the ID of an answer, or --answers, got '{what}'" in got.err) == (2, True)


def test_recommend_prints_the_list_alone_on_standard_output(report: dict[str, object], run: Run) -> None:
    got = run("recommend", "shop.py", 7, "--k", 3)
    assert len(got.out.strip().split(",")) == 3
    assert str(report["champion"]) in got.err


def test_a_tampered_artifact_is_refused_and_the_answer_comes_from_below(report: dict[str, object], run: Run) -> None:
    name = next(
        v["artifact"] for v in run("versions", "list", "shop.py", "--json").last["versions"] if v["state"] == "champion"
    )
    for path in (Path(".flyball/shop/artifacts") / name).glob("*.npy"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    answer = run("recommend", "shop.py", 7, "--json")
    assert (answer.code, answer.last["level"]) == (0, "popular")
    assert "is out of service" in answer.err


def test_a_registry_that_cannot_be_read_is_reported_though_an_answer_is_given(
    report: dict[str, object], run: Run
) -> None:
    Path(".flyball/shop/registry.db").write_bytes(b"no database")
    got = run("recommend", "shop.py", 7)
    assert got.code == 0
    assert "could not be read" in got.err
    assert "no version" in got.err


def test_nothing_is_learned_from_what_is_to_come(report: dict[str, object], run: Run) -> None:
    got = run("learn", "shop.py", "--as-of", "2999-01-01")
    assert got.code == 2
    assert "as_of of a run must be now" in got.err


def test_learning_from_too_little_says_so_with_exit_code_1(report: dict[str, object], run: Run) -> None:
    got = run("learn", "shop.py", "--as-of", "2026-01-01", "--json")
    assert (got.code, got.last["status"]) == (1, "too_little_data")
    assert states(run)[str(report["champion"])] == "champion"


def test_status_counts_answers(report: dict[str, object], run: Run) -> None:
    run("recommend", "shop.py", 7)
    run("recommend", "shop.py", 8)
    found = run("status", "shop.py", "--json").last
    assert (found["running"], found["champion"]) == (False, report["champion"])
    assert "not running; serving" in run("status", "shop.py").out


@pytest.mark.parametrize("command", ["why", "replay"])
@pytest.mark.parametrize(("name", "message"), [("nonsense", "id must be"), ("0" * 26, "no prediction")])
def test_unknown_answers(report: dict[str, object], run: Run, command: str, name: str, message: str) -> None:
    got = run(command, "shop.py", name)
    assert got.code == 2
    assert got.err.startswith(f"flyball: {message}")
    assert "; a reply names its own in the header X-Flyball-Prediction" in got.err or message != "no prediction"


def test_ctrl_c_while_learning_is_one_code_and_no_traceback(learned: Path, tmp_path: Path) -> None:
    """The whole group gets the signal, as from a terminal, while processes start."""
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "flyball", "learn", "shop.py"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    lock = tmp_path / ".flyball/shop/learn.lock"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    before = lock.stat().st_mtime_ns

    def forking() -> bool:
        assert process.poll() is None
        return lock.stat().st_mtime_ns != before and len(children.read_text().split()) >= 2

    try:
        until(forking)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=LONG_S)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_version_of_lists_is_not_exported(report: dict[str, object], run: Run) -> None:
    got = run("versions", "export", "shop.py", report["chosen"], "--onnx", "shop.onnx")
    assert (got.code, Path("shop.onnx").exists()) == (1, False)
    assert "must be of a task such as fb.Predict to become ONNX, got one of Recommend" in got.err
    got = run("versions", "export", "shop.py", "v77", "--onnx", "shop.onnx")
    assert (got.code, "no version 'v77'" in got.err) == (2, True)
