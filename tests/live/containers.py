"""Containers of a real podman for tests, which `scripts/with-containers` brings: commands, events, and the image of an
application."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE = os.environ.get("TEST_CONTAINERS", "")
BASE = "docker.io/library/python:3.11-slim"
DAY_S = 86_400


def engine_settings() -> dict[str, str]:
    """The environment in which podman and podman-compose find their store."""
    words = (Path(ENGINE) / "env").read_text().removeprefix("export ").split()
    return {**os.environ, **dict(word.split("=", 1) for word in words)}


def run(words: str, folder: Path = ROOT, stdin: str | None = None, within_s: float = 500) -> str:
    """Run a command with the engine's settings; what it printed, or a failure with all that it said."""
    done = subprocess.run(
        words.split(),
        cwd=folder,
        input=stdin,
        env=engine_settings(),
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-3_000:]}{done.stderr[-3_000:]}"
    return done.stdout


def watched_films() -> str:
    """Two weeks in which users watch films of their half, four of five of the first, as lines."""
    rng, now_s, lines = random.Random(1), int(time.time()), []
    for user in range(1, 101):
        for day, film in enumerate(rng.sample(range(user % 5 == 0, 40, 2), 12)):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s - (14 - day) * DAY_S + user))
            lines.append(json.dumps({"type": "watch", "at": at, "user": user, "film": f"f{film}", "minute": 1}))
    return "\n".join(lines) + "\n"


def pip_settings() -> str:
    """How pip on this machine finds its index, for the pip of the build."""
    files = [Path(name) for name in ("/etc/pip.conf", str(Path.home() / ".config/pip/pip.conf"))]
    mounts = [f"-v {file}:/etc/pip.conf:ro" for file in files if file.exists()]
    names = [f"--env {name}={os.environ[name]}" for name in ("PIP_INDEX_URL", "PIP_CERT") if os.environ.get(name)]
    return " ".join([*mounts[:1], *names, "-v /etc/ssl/certs:/etc/ssl/certs:ro"])


def build_image(folder: Path, source: Path, name: str) -> None:
    """Build the image of `cinema.py` in `folder` as `flyball init deploy` says; `source`: an empty folder."""
    run(f"{sys.executable} -m flyball init deploy cinema.py", folder)
    for part in ("src", "packaging", "requirements", "pyproject.toml", "README.md", "LICENSE"):
        run(f"cp -r {ROOT / part} {source}")
    run(f"{sys.executable} -m pip wheel -q --no-deps -w {folder}/deploy/wheels {source}")
    build = f"podman build -q --format docker --pull=never --network host {pip_settings()} --build-arg BASE={BASE}"
    run(f"{build} -f deploy/Containerfile -t {name} .", folder)
