"""The list of monitors is that of the code: what every look can report, found in its source."""

import ast
from pathlib import Path

import pytest

import flyball.monitoring
from flyball.learning.causes import DRIFTS
from flyball.monitoring.watch.columns import _MONITORS as OF_COLUMNS
from flyball.policy import LEARNABLE, MONITORS, OWN_FAULTS, monitor_fault

SOURCE = Path(flyball.monitoring.__file__).parent
MADE_BY = ("Observation", "_fact")


def reported() -> set[str]:
    """The monitors that calls of `Observation` and `_fact` name, as text or by a constant of their module."""
    names = set(OF_COLUMNS.values()) | {f"{name}-daily" for name in OF_COLUMNS.values()}
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in MADE_BY:
                first = call.args[0]
                if isinstance(first, ast.Constant):
                    names.add(first.value)
                elif isinstance(first, ast.Name) and first.id in constants:
                    names.add(constants[first.id])
                elif isinstance(first, ast.BinOp):
                    left = first.left
                    name = left.value if isinstance(left, ast.Constant) else constants.get(ast.unparse(left), "")
                    names |= {name, f"{name}-daily"} if name else set()
    return names


def test_every_monitor_is_listed_and_no_other() -> None:
    assert sorted(MONITORS) == list(MONITORS)
    assert reported() == set(MONITORS)


def test_what_learning_follows_is_learnable() -> None:
    assert set(DRIFTS) <= set(LEARNABLE) <= set(MONITORS)
    assert set(OWN_FAULTS) < set(MONITORS)


@pytest.mark.parametrize("name", ["shift", "shift*", "*", "[a-c]*"])
def test_a_name_or_a_pattern_of_one_is_no_fault(name: str) -> None:
    assert monitor_fault(name, patterns=True) == ""


def test_a_pattern_counts_only_where_patterns_do() -> None:
    assert monitor_fault("shift*").startswith("one of calibration, ")
    assert monitor_fault("drift*", patterns=True).endswith("volume, or a pattern of them with *")
