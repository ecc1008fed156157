"""Errors planted in releases, one at a time; the tests must find each of them."""

from tests.mutations.planted import Planted

_CHANGE, _STATE, _ARRANGEMENTS = "change.py", "state.py", "arrangements.py"
_ROUTER, _RELEASE, _OPENING, _CANARY = "router.py", "release.py", "opening.py", "canary.py"

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
        "check_servable(version, artifacts, about)\n    revision = before.trail_",
        "revision = before.trail_",
        "rollback checks nothing",
    ),
    Planted(
        _OPENING, "        salt=name,\n", '        salt="",\n', "users fall into the buckets of the release before"
    ),
    Planted(_CHANGE, 'action="rollback"', 'action="promote"', "the audit trail says promote"),
    Planted(_ROUTER, "(split.ends, _bucket(", "(split.ends, -1 + _bucket(", "an arm takes a bucket too many"),
    Planted(
        _ROUTER, "end, share = end + size, size / BUCKETS", "end, share = end + size, 1.0", "an arm's propensity is 1"
    ),
    Planted(_ROUTER, "digest_size=8, key=salt.encode()[:64]", "digest_size=8", "every release draws the same users"),
    Planted(
        _ROUTER,
        "_hasher(release.salt),",
        '_hasher(f"{release.salt} {release.step}"),',
        "each step of a ramp draws its users anew",
    ),
    Planted(
        _ROUTER,
        "share + (1.0 - sum(split.part for split in takes))",
        "share",
        "the propensity forgets who takes part in nothing",
    ),
    Planted(_ROUTER, "propensity = (1 - holdout.share) * propensity", "propensity = propensity", "nobody is held out"),
    Planted(
        _RELEASE,
        "step != release.step + 1",
        "step is None",
        "a ramp skips a step or shrinks",
    ),
    Planted(_RELEASE, '("retire", "champion"): ("retired",),', "", "a champion cannot be relieved"),
    Planted(_CANARY, "allowed = min(margin / share, 1.0)", "allowed = 1.0", "a ramp goes on without evidence"),
    Planted(_CANARY, "if above and log_e >= aborts:", "if above:", "noise aborts a release"),
    Planted(_CANARY, "(not above and log_e >= advances)", "log_e >= advances", "evidence of harm counts as safety"),
    Planted(
        "error_budget.py",
        "stages + outcomes)",
        "stages)",
        "metrics that may abort have no part of alpha",
    ),
    Planted(
        "error_budget.py",
        'tests = release.constants.get("abort_tests", 0.0)',
        'tests = release.constants.get("abort_tests", 4.0)',
        "a release from before gets another alpha",
    ),
    Planted(_CANARY, "if metric.missing:", "if False:", "a metric that was not measured lets a release through"),
    Planted(
        _CANARY, "elif metric.low <= -margin / share:", "elif metric.effect < 0:", "a metric by its point estimate"
    ),
    Planted(_CANARY, "if silence_us and quiet_us >= silence_us:", "if False:", "silence is not seen"),
    Planted(_CANARY, "evidence.last_us > release.held_us", "evidence.last_us > 0", "silence ends by itself"),
    Planted(_CANARY, "if now_us >= release.watch_until_us or not release.over:", "if False:", "a watch never ends"),
    Planted(
        _CANARY,
        "sum(rises) / sum(weights)",
        "sum(rises) / len(strata)",
        "steps of a ramp count alike, however few they saw",
    ),
    Planted(_CHANGE, "if other is not None:", "if other is None:", "a canary loses the champion it is compared with"),
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
    Planted(
        _CANARY,
        "(allowed >= 1.0 and _comparable(strata))",
        "allowed >= 1.0",
        "a step without answers is passed where its next share costs little",
    ),
)
