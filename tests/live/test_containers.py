"""The image that `flyball init deploy` writes, built and run by a real podman. `scripts/with-containers` brings it."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cinema import CINEMA
from tests.live.containers import ENGINE, build_image, run, watched_films
from tests.live.instance import until

IMAGE = "localhost/cinema:1"
SAFE = "--read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges -v cinema:/var/lib/flyball"
SIGTERM_WITHIN_S = 10

pytestmark = [
    pytest.mark.timeout(2_400),
    pytest.mark.live,
    pytest.mark.skipif(not ENGINE, reason="containers come with scripts/with-containers"),
]

APP = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular()},
    gates=fb.gates(min_examples=10, max_answer="10s", max_loss=1.0, at_least={"full_lists@8": 0.0}),
)
"""
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("application")
    (folder / "cinema.py").write_text(APP)
    build_image(folder, tmp_path_factory.mktemp("source"), IMAGE)
    return IMAGE


@pytest.fixture
def learned(image: str) -> Iterator[str]:
    """The image, and a volume with a version to serve."""
    run(f"podman run --rm -i {SAFE} {image} ingest cinema.py - --format jsonl --as history", stdin=watched_films())
    run(f"podman run --rm {SAFE} {image} learn cinema.py")
    try:
        yield image
    finally:
        run("podman rm -f -i -t 1 served")
        run("podman volume rm -f cinema")


def get(url: str, key: str = "") -> tuple[int, str]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.status, answer.read().decode()


def test_a_container_answers_safely_says_so_and_ends_in_time(learned: str) -> None:
    run(f"podman run -d --name served {SAFE} -p 127.0.0.1::8082 {learned}")
    url = f"http://{run('podman port served 8082/tcp').strip()}"
    until(lambda: get(f"{url}/readyz")[0] == 200)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(f"{url}/recommend/1")
    key = run("podman exec served flyball keys create cinema.py --role serve").strip()
    time.sleep(2)
    status, films = get(f"{url}/recommend/1", key)
    assert (status, len(films.split(","))) == (200, 8)
    run("podman healthcheck run served")
    user = run("podman exec served id -u").strip()
    assert user == "10001"
    status_of = run("podman exec served cat /proc/1/status")
    assert "CapEff:\t0000000000000000" in status_of
    assert "NoNewPrivs:\t1" in status_of
    with pytest.raises(AssertionError, match="Read-only file system"):
        run("podman exec served touch /srv/app/x")
    began_s = time.monotonic()
    run(f"podman stop -t {SIGTERM_WITHIN_S} served")
    took_s = time.monotonic() - began_s
    assert run("podman inspect served --format {{.State.ExitCode}}").strip() == "0", f"after {took_s:.1f} s"
    assert took_s < SIGTERM_WITHIN_S
    lines: list[dict[str, Any]] = [json.loads(line) for line in run("podman logs served").splitlines()]
    assert {"time", "level", "message", "process"} <= set(lines[0])
    assert lines[-1]["message"] == "stopping"


def test_a_wrong_setting_ends_the_container_with_its_reason(image: str) -> None:
    with pytest.raises(AssertionError, match="FLYBALL_WORKRES: correct it or unset it"):
        run(f"podman run --rm {SAFE} -e FLYBALL_WORKRES=2 {image}")
