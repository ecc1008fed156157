"""`benchmarks/vectors.py`: what other projects published beside ours."""

import json
import subprocess
import sys
from pathlib import Path

from tests.data import real

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "vectors.py"


def compare(*arguments: str) -> tuple[int, str]:
    """The exit code and what is printed."""
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_every_published_value_is_ours_or_differs_for_a_reason() -> None:
    code, printed = compare("--vectors", str(real("..", "vectors")))
    assert code == 0, printed
    assert "DIFFERS:" not in printed
    assert printed.count("\nby convention: ") >= 7
    assert "not offered: " in printed


def test_a_value_that_differs_without_a_reason_fails(tmp_path: Path) -> None:
    """Holm of two p-values and a size, by hand; the same with one of them wrong."""
    flat = {"n": 10, "sum": 100, "sum_squares": 1002.25}
    known = {
        "srm": {"cases": [[[500, 500], [0.5, 0.5], 1]]},
        "benjamini_hochberg": {"p": [0.02, 0.5], "adjusted_in_input_order": [0.04, 0.5]},
        "holm_vs_bh": {"p": [0.025, 0.03], "holm": [0.05, 0.05], "bh": [0.03, 0.03]},
        "adjusted_ci": [],
        "relative_diff": [[-10, -5, 0.5]],
        "midexperiment_power": {
            "a": flat,
            "b": flat,
            "target_mde": 0.05,
            "scaling_factor": {"fixed": 0.0, "sequential_5000": 0.0, "bayes_prior_N(0.05,0.001)": 0.0},
        },
        "cuped_theta": {"pre": [1, 2, 3], "post": [2, 4, 6], "theta5": 2.0},
        "cuped_ratio_sign": None,
        "bayes": [],
    }
    arm = {"m_post_a": [1, 2, 3], "d_post_a": [1, 1, 2], "m_pre_a": [2, 1, 3], "d_pre_a": [1, 2, 2]}
    other = {"d_post_b": [1, 1, 2], "m_pre_b": [2, 1, 3], "d_pre_b": [1, 2, 2], "theta": 0.0}
    same = {"m_post_b_improving": [1, 2, 3], "m_post_b_declining": [1, 2, 3]}
    # mean 2 over 4/3: the ratio 1.5; (m - 1.5 d) = -.5, .5, 0 of variance 1/4, over (4/3)^2 and 3 units, twice
    lift = {"lift": 0.0, "se": (2 * 0.25 / 3) ** 0.5 / (4 / 3) / 1.5}
    known["cuped_ratio_sign"] = arm | other | same | {"improving": lift, "declining": lift}
    quantile = {"n": 1_000, "q": 1.0, "lo": 0.9, "hi": 1.1}
    reach = 0.1 * 2**0.5
    known["quantile_effect"] = {
        "control": quantile,
        "treatment": quantile,
        "absolute_effect": 0.0,
        "ci": [-reach, reach],
        "relative_effect_prior_N(0,1e6)": 0.0,
    }
    path = tmp_path / "gbstats_misc.json"
    path.write_text(json.dumps(known))
    code, printed = compare("--vectors", str(tmp_path))
    assert code == 0, printed
    known["holm_vs_bh"]["holm"] = [0.05, 0.03]  # type: ignore[index]
    path.write_text(json.dumps(known))
    code, printed = compare("--vectors", str(tmp_path))
    assert code == 1
    assert "Holm 2: ours 0.05, theirs 0.03, difference +2.0e-02" in printed


def test_without_a_folder_nothing_is_compared(tmp_path: Path) -> None:
    assert compare() == (
        0,
        "nothing compared: published values are not part of the repository; give their folder with --vectors\n",
    )
    code, printed = compare("--vectors", str(tmp_path))
    assert code == 2
    assert "must be a folder with one of gbstats_frequentist.json" in printed
