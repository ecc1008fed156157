"""What numba keeps on disk does not outlive a change in a file it was compiled from."""

import os
import subprocess
import sys
from pathlib import Path

from flyball.core import forget_stale

FIRST_LINES = "from pathlib import Path\nfrom flyball.core import forget_stale\nforget_stale(Path(__file__).parent)\n"
CALLEE = "from numba import njit\n\n@njit(cache=True)\ndef f(x):\n    return x + {}\n"
CALLER = "from numba import njit\nfrom loops.callee import f\n\n@njit(cache=True)\ndef g(x):\n    return 10 * f(x)\n"


def answer(folder: Path) -> int:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    code = "from loops.caller import g; print(g(1))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_a_caller_is_compiled_again_when_what_it_calls_has_changed(tmp_path: Path) -> None:
    loops = tmp_path / "loops"
    loops.mkdir()
    (loops / "__init__.py").write_text("")
    (loops / "callee.py").write_text(CALLEE.format(1))
    (loops / "caller.py").write_text(CALLER)
    assert answer(tmp_path) == 20
    (loops / "callee.py").write_text(CALLEE.format(2))
    assert answer(tmp_path) == 20  # numba alone continues with the old one: if it no longer does, `forget_stale` can go
    (loops / "__init__.py").write_text(FIRST_LINES)
    assert answer(tmp_path) == 30
    kept = {path.name: path.stat().st_mtime_ns for path in (loops / "__pycache__").glob("*.nb*")}
    assert answer(tmp_path) == 30
    assert {path.name: path.stat().st_mtime_ns for path in (loops / "__pycache__").glob("*.nb*")} == kept


def test_what_another_process_removes_meanwhile_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    gone, stale = tmp_path / "__pycache__" / "a.nbi", tmp_path / "__pycache__" / "b.nbi"
    gone.symlink_to(tmp_path / "nowhere")  # listed, but not there when it is looked at
    stale.write_bytes(b"")
    os.utime(stale, (1, 1))
    (tmp_path / "loops.py").write_text("")
    forget_stale(tmp_path)
    assert not stale.exists()
