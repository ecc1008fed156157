"""`flyball keys` and `flyball audit` as a user types them."""

from pathlib import Path

from tests.cli.conftest import Run

from flyball.access import parse_key


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(run: Run) -> None:
    run("new", "shop")
    assert run("ingest", "shop.py", "shop-events.jsonl").code == 0
    assert "no keys yet: flyball keys create makes one" in run("keys", "list", "shop.py").out
    made = run("keys", "create", "shop.py", "--role", "serve", "--role", "read", "--name", "front", "--expires", "90d")
    parsed = parse_key(made.out.strip())
    assert parsed is not None
    assert f"key {parsed.id} (front) with read, serve: keep it now, it is not shown again" in made.err
    (listed,) = run("keys", "list", "shop.py", "--json").last["keys"]
    assert (listed["id"], listed["state"], listed["roles"]) == (parsed.id, "in force", ["read", "serve"])
    assert listed["expires_us"] - listed["created_us"] == 90 * 86_400 * 1_000_000
    shown = run("keys", "list", "shop.py").out + run("audit", "shop.py").out + run("audit", "shop.py", "--json").out
    assert parsed.secret not in shown
    assert "in force" in shown
    assert f"key {parsed.id} (front) is revoked" in run("keys", "revoke", "shop.py", "front", "--reason", "leaked").out
    assert "revoked" in run("keys", "list", "shop.py").out
    actions = run("audit", "shop.py", "--since", "1h", "--json").last["actions"]
    whole = [(action["action"], action["subject"], action["source"], action["reason"]) for action in actions]
    assert whole == [
        ("keys create", parsed.id, "command line", "by hand"),
        ("keys revoke", parsed.id, "command line", "leaked"),
    ]


def test_a_key_as_json_and_what_is_wrong(run: Run) -> None:
    run("new", "shop")
    run("ingest", "shop.py", "shop-events.jsonl")
    made = run("keys", "create", "shop.py", "--role", "serve", "--origin", "https://shop.example", "--json").last
    assert parse_key(made["key"]) is not None
    assert made["origins"] == ["https://shop.example"]
    assert made["name"] == made["id"]
    wrong = run("keys", "create", "shop.py", "--role", "owner")
    assert (wrong.code, "roles of a key must be of read, serve, write-events, operate, admin" in wrong.err) == (2, True)
    wrong = run("keys", "create", "shop.py", "--role", "admin", "--origin", "https://shop.example")
    assert "must be of serve and write-events alone" in wrong.err
    assert "no key 'x'" in run("keys", "revoke", "shop.py", "x").err
    assert Path("shop.py").exists()


def test_a_key_of_a_page_says_what_it_may_send(run: Run) -> None:
    run("new", "shop")
    run("ingest", "shop.py", "shop-events.jsonl")
    create = ("keys", "create", "shop.py", "--role", "write-events", "--origin", "https://shop.example", "--name")
    made = run(*create, "page", "--type", "view", "--type", "buy")
    assert "(page) with write-events of view, buy alone: keep it now" in made.err
    assert "warning" not in made.err
    warned = run(*create, "all")
    assert "warning: everybody who opens a page of https://shop.example can read key all and send events" in warned.err
    assert run(*create, "json", "--json").last["warning"].endswith("as --type view")
    rows = [line.split("  ")[-1] for line in run("keys", "list", "shop.py", "--wide").out.splitlines()]
    assert [row.strip() for row in rows] == ["may send", "view, buy", "all events", "all events"]
    assert run("keys", "list", "shop.py", "--json").last["keys"][0]["event_types"] == ["view", "buy"]
    assert run("audit", "shop.py", "--json").last["actions"][0]["after"]["event_types"] == ["view", "buy"]
    wrong = run(*create, "other", "--type", "click")
    assert (wrong.code, "event types of a key must be of view, " in wrong.err, "got 'click'" in wrong.err) == (
        2,
        True,
        True,
    )
    assert len(run("keys", "list", "shop.py", "--json").last["keys"]) == 3


def test_a_key_goes_to_a_file_of_its_own_or_none_is_made(run: Run) -> None:
    run("new", "shop")
    create = ("keys", "create", "shop.py", "--role", "read", "--to")
    early = run(*create, "ops.key")
    assert (early.code, early.out, Path("ops.key").exists()) == (2, "", False)
    assert "flyball ingest makes some; then make the key. None was made" in early.err
    run("ingest", "shop.py", "shop-events.jsonl")
    made = run(*create, "ops.key", "--name", "ops")
    assert (made.code, made.out) == (0, "")
    assert "(ops) with read: it is in ops.key, which you alone can read" in made.err
    key = parse_key(Path("ops.key").read_text().removesuffix("\n"))
    assert key is not None
    assert Path("ops.key").stat().st_mode & 0o777 == 0o600
    assert key.secret not in run("keys", "list", "shop.py", "--json").out
    Path("link.key").symlink_to("elsewhere")
    for path, words in (
        ("ops.key", "must name a file that is not there yet, got ops.key"),
        ("link.key", "must name a file that is not there yet"),
        ("nowhere/x.key", "must name a file that can be written, got nowhere/x.key: No such file"),
    ):
        refused = run(*create, path, "--name", "other")
        assert (refused.code, words in refused.err) == (2, True), refused.err
    assert run(*create, "owner.key", "--role", "owner").code == 2
    assert sorted(path.name for path in Path().glob("*.key*")) == ["link.key", "ops.key"]
    assert list(Path().glob(".*.tmp")) == []
    assert [listed["name"] for listed in run("keys", "list", "shop.py", "--json").last["keys"]] == ["ops"]
    as_json = run(*create, "json.key", "--json")
    assert (as_json.last["file"], "key" in as_json.last) == ("json.key", False)


def test_a_key_has_limits_of_its_own_that_can_be_changed(run: Run) -> None:
    run("new", "shop")
    run("ingest", "shop.py", "shop-events.jsonl")
    create = ("keys", "create", "shop.py", "--role", "serve", "--name", "front")
    made = run(*create, "--limit-answers", "200/s, burst 400", "--json").last
    assert (made["limit_answers"], made["limit_events"]) == ("200/s, burst 400", "")
    assert "answers 200/s, burst 400" in run("keys", "list", "shop.py", "--wide").out
    limit = ("keys", "limit", "shop.py", "front")
    changed = run(*limit, "--limit-events", "none", "--limit-answers", "5/s", "--reason", "a quiet one")
    assert changed.out.split(": ", 1)[1].strip() == "answers 5/s; events none"
    assert "the limits of the settings" in run(*limit, "--limit-events", "default", "--limit-answers", "default").out
    (listed,) = run("keys", "list", "shop.py", "--json").last["keys"]
    assert (listed["limit_answers"], listed["limit_events"]) == ("", "")
    actions = run("audit", "shop.py", "--json").last["actions"]
    assert [(action["action"], action["reason"]) for action in actions][1] == ("keys limit", "a quiet one")
    assert 'got "lots"' in (wrong := run(*limit, "--limit-answers", "lots")).err or "got 'lots'" in wrong.err
    assert wrong.code == 2
    assert "rate must be a number by s, m or h" in run(*create, "--limit-events", "0/s").err
    neither = run(*limit)
    assert (neither.code, "got 'neither'" in neither.err) == (2, True)
    run("keys", "revoke", "shop.py", "front")
    assert "must be in force to be limited" in run(*limit, "--limit-answers", "1/s").err
