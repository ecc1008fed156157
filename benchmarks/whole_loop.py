"""The whole loop: a week of 2,000 users in virtual time, and the cold start of `flyball up` on what it leaves.

Run: python benchmarks/whole_loop.py [--days 7] [--users 2000] [--seed 1] [--again]
The cold start is from the command to the first answer by the champion, features and all; memory is the resident and the
proportional share of each process then. `--again` simulates twice and compares the digests of all answers.
"""

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "flyball"]
DEADLINE_S = 60.0


def simulated(home: Path, days: int, users: int, seed: int) -> dict[str, Any]:
    """The report of one simulation whose state stays in `home`."""
    sizes = ["--days", str(days), "--users", str(users), "--seed", str(seed)]
    done = subprocess.run(
        [*COMMAND, "simulate", "movies", *sizes, "--home", str(home), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def cold_start(home: Path) -> dict[str, Any]:
    """Seconds to the first answer of the champion, and megabytes of each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    command = [*COMMAND, "up", "movies", "--home", str(home), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        try:
            level, first_s = "", 0.0
            while level != "champion" and time.perf_counter() - began < DEADLINE_S:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/recommend/1", timeout=2) as reply:
                        first_s = first_s or time.perf_counter() - began
                        level = reply.headers["x-flyball-level"]
                except OSError:
                    time.sleep(0.01)
            return {
                "first_answer_s": round(first_s, 2),
                "first_by_champion_s": round(time.perf_counter() - began, 2) if level == "champion" else None,
                "memory_mb": {name: memory_mb(pid) for pid, name in children_of(up.pid)},
            }
        finally:
            up.send_signal(signal.SIGTERM)


def children_of(pid: int) -> list[tuple[int, str]]:
    """(pid, what it is) of the supervisor and the processes it runs."""
    found = [(pid, "supervisor")]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if "flyball.operations.child" in words:
            found.append((int(child), f"{words[words.index('flyball.operations.child') + 1]} {child}"))
    return found


def memory_mb(pid: int) -> dict[str, int]:
    """Resident, and with what is shared divided among those who share it."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {words[0]: int(words[1]) for words in map(str.split, lines) if words[0] in ("Rss:", "Pss:")}
    return {"resident": sizes["Rss:"] // 1024, "proportional": sizes["Pss:"] // 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = simulated(Path(folder) / "home", chosen.days, chosen.users, chosen.seed)
        print(f"{report['days']} days of {report['users']:,} users: {report['seconds']:.1f} s, {report['stages']}")
        print(f"digest {report['digest']}")
        if chosen.again:
            again = simulated(Path(folder) / "again", chosen.days, chosen.users, chosen.seed)
            print(f"digest {again['digest']}, {'the same' if again['digest'] == report['digest'] else 'ANOTHER'}")
        started = cold_start(Path(folder) / "home")
        print(f"flyball up: first answer {started['first_answer_s']} s, by champion {started['first_by_champion_s']} s")
        for name, sizes in started["memory_mb"].items():
            print(f"  {name}: {sizes['resident']} MB resident, {sizes['proportional']} MB proportional")


if __name__ == "__main__":
    main()
