"""Keys as people make them: what they may be, how they are stored, and when they are in force."""

import random
from pathlib import Path

import pytest
from tests.access.quick import SECOND_US, Office

from flyball.access import check_roles, is_in_force, key_state, parse_key, slow_hash, unbounded_page
from flyball.access.key_text import new_key_text
from flyball.core import BadInput, Refused
from flyball.registry import access_keys, revoke_access_key


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_only_the_hash_of_the_secret_is_stored(office: Office, tmp_path: Path) -> None:
    key, text = office.key("serve", "read", name="front")
    parsed = parse_key(text.decode())
    assert parsed is not None
    assert (parsed.id, key.roles) == (key.id, ("read", "serve"))
    assert slow_hash(parsed.secret, bytes.fromhex(key.salt)).hex() == key.digest
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key.id.encode() in stored
    assert parsed.secret.encode() not in stored
    assert parsed.secret not in repr(parsed)


def test_each_key_has_its_own_salt_and_140_random_bits(office: Office) -> None:
    keys = [office.key() for _ in range(4)]
    assert len({key.salt for key, _ in keys}) == len({key.id for key, _ in keys}) == 4
    texts = {new_key_text(random.Random(seed)).secret for seed in range(200)}
    assert len(texts) == 200
    assert {len(text) for text in texts} == {28}


@pytest.mark.parametrize("place", range(3, 47))
def test_a_typo_anywhere_is_seen_by_the_checksum(place: int) -> None:
    text = new_key_text(random.Random(5)).text
    assert len(text) == 47
    other = "2" if text[place] != "2" else "3"
    assert parse_key(text[:place] + other + text[place + 1 :]) is None
    assert parse_key(text) is not None


def test_a_key_of_a_web_page_only_serves_and_writes_events(office: Office) -> None:
    key, _ = office.key("serve", "write-events", origins=["https://Shop.example:443/"[:-1], "http://localhost:3000"])
    assert key.origins == ("https://shop.example", "http://localhost:3000")
    with pytest.raises(BadInput, match="roles of a key with an origin must be of serve and write-events alone"):
        office.key("serve", "read", origins=["https://shop.example"])


def test_a_key_may_send_the_types_it_names_of_those_declared(office: Office) -> None:
    declared = ("view", "click", "buy")
    key, _ = office.key("write-events", "serve", event_types=["buy", "view", "buy"], declared=declared)
    assert (key.event_types, access_keys(office.registry)) == (("view", "buy"), [key])
    with pytest.raises(BadInput, match="event types of a key must be of view, click, buy, got 'clik'"):
        office.key("write-events", event_types=["clik"], declared=declared)
    for roles in (("serve",), ("write-events", "admin"), ("admin",)):
        with pytest.raises(BadInput, match="event types must be those of a key with write-events and without admin"):
            office.key(*roles, event_types=["view"], declared=declared)


def test_a_page_whose_key_may_send_everything_is_warned_about(office: Office) -> None:
    page, declared = ["https://shop.example"], ("view", "buy")
    key, _ = office.key("write-events", origins=page, name="page")
    assert "read key page and send events of all types with it (view, buy)" in unbounded_page(key, declared)
    others = [
        office.key("write-events", origins=page, event_types=["view"], declared=declared),
        office.key("serve", origins=page),
        office.key("write-events"),
    ]
    assert [unbounded_page(other, declared) for other, _ in others] == ["", "", ""]


@pytest.mark.parametrize(("roles", "got"), [((), "none"), (("owner",), "owner")])
def test_unknown_roles_are_refused(roles: tuple[str, ...], got: str) -> None:
    with pytest.raises(BadInput, match=f"roles of a key must be .*read, serve, .*got '?{got}"):
        check_roles(roles)


def test_names_are_short_and_in_use_once(office: Office) -> None:
    office.key(name="front")
    with pytest.raises(Refused, match="name of a key must be that of no key in force"):
        office.key(name="front")
    for name in ("a b", "-x", "a\n", "x" * 65, "é"):
        with pytest.raises(BadInput, match="name of a key must be 1 to 64 letters"):
            office.key(name=name)


def test_states_of_keys(office: Office) -> None:
    now_us = office.clock.now_us()
    key, _ = office.key(for_us=SECOND_US)
    assert [is_in_force(key, now_us + after) for after in (0, SECOND_US - 1, SECOND_US)] == [True, True, False]
    revoke_access_key(office.registry, key.id, "ann", "", now_us + 1)
    (stored,) = access_keys(office.registry)
    states = [key_state(key, now_us), key_state(key, now_us + SECOND_US), key_state(stored, now_us)]
    assert states == ["in force", "expired", "revoked"]
