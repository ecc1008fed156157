"""Errors planted in releases, one at a time; the tests must find each of them."""

from tests.mutations.planted import Planted

_CHANGE, _STATE, _ARRANGEMENTS = "change.py", "state.py", "arrangements.py"

PLANTED_RELEASES = (
    Planted(_CHANGE, 'if version.state == "rejected":', 'if version.state == "retired":', "a rejected version serves"),
    Planted(_CHANGE, "if got != expected:", "if got == expected:", "an altered artifact serves"),
    Planted(_CHANGE, "if not path.is_file():", "if path.is_dir():", "a missing file is not reported"),
    Planted(
        _CHANGE,
        "if not version.artifact or not version.artifact_files:",
        "if not version.artifact:",
        "an artifact without files serves",
    ),
    Planted(_CHANGE, "trail = before.trail[:-1]", "trail = before.trail", "a rollback can be asked once only"),
    Planted(
        _CHANGE,
        "trail = before.trail if before.champion is None else (*before.trail, before.champion)",
        "trail = before.trail",
        "the previous champion is forgotten",
    ),
    Planted(
        _CHANGE,
        "expected = before.serial if serial is None else serial",
        "expected = before.serial",
        "a change in between is overwritten",
    ),
    Planted(_CHANGE, 'states[before.champion] = "retired"', 'states[before.champion] = "champion"', "two champions"),
    Planted(
        _CHANGE,
        "revision = before.trail_arrangements[-1] if before.trail_arrangements else before.arrangement",
        "revision = before.arrangement",
        "rollback keeps the new rule",
    ),
    Planted(
        _CHANGE,
        "check_servable(version, artifacts, features)\n    revision = before.trail_",
        "revision = before.trail_",
        "rollback checks nothing",
    ),
    Planted(_CHANGE, "salt=version_id", "salt=before.salt", "users fall into the buckets of the release before"),
    Planted(_CHANGE, 'action="rollback"', 'action="promote"', "the audit trail says promote"),
    Planted(
        _STATE, "first <= bucket < first + size", "first <= bucket <= first + size", "an arm takes a bucket too many"
    ),
    Planted(_STATE, "first <= bucket < first + size", "first < bucket < first + size", "an arm takes a bucket too few"),
    Planted(_STATE, "        first += size\n", "", "arms overlap"),
    Planted(
        _STATE,
        'Route(state.champion, "champion", (BUCKETS - first) / BUCKETS)',
        'Route(state.champion, "champion", 1.0)',
        "the champion's propensity is 1 beside arms",
    ),
    Planted(
        _STATE,
        "return Route(arm.version, arm.name, size / BUCKETS)",
        "return Route(arm.version, arm.name, 1.0)",
        "an arm's propensity is 1",
    ),
    Planted(_STATE, "key=salt.encode()[:64]", "key=b''", "every release draws the same users"),
    Planted(
        _STATE,
        'return "previous" if version == state.previous else "chosen"',
        'return "chosen" if version == state.previous else "previous"',
        "levels change places",
    ),
    Planted(_ARRANGEMENTS, "if newest and newest[0].value == value:", "if newest:", "a new rule makes no revision"),
    Planted(
        _ARRANGEMENTS,
        "current(registry).arrangement or newest[0].revision",
        "newest[0].revision",
        "a rollback by hand is undone by the file",
    ),
    Planted(
        _ARRANGEMENTS,
        "arrangement=before.arrangement_trail[-1], arrangement_trail=before.arrangement_trail[:-1]",
        "arrangement=before.arrangement_trail[-1]",
        "rollback of rules goes back once only",
    ),
    Planted(
        _ARRANGEMENTS,
        "(*before.arrangement_trail, before.arrangement)",
        "before.arrangement_trail",
        "the rule before is forgotten",
    ),
    Planted(
        _ARRANGEMENTS, "if revision else declared", "if not revision else declared", "the file's rule is looked up"
    ),
)
