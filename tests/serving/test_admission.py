"""Who sends a request: keys, users of trusted proxies, anyone on this machine, and what each mode lets in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.access.quick import Office

from flyball.access import Pass
from flyball.core import BadInput, BadSetting, NotAuthenticated, StoreUnavailable
from flyball.serving.http.admission import Admission
from flyball.settings import load_settings

pytestmark = pytest.mark.anyio

OWN, PROXY, FAR = ("127.0.0.1", 5), ("10.0.0.7", 5), ("192.0.2.9", 5)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def admission(office: Office, tmp_path: Path, **options: Any) -> Admission:
    return Admission(load_settings(tmp_path, options=options), office.authenticator)


async def admit(door: Admission, client: Sequence[object], *headers: tuple[bytes, bytes]) -> Pass:
    return await door.admit(dict(headers), headers, client)


def bearing(text: bytes) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + text


async def test_who_needs_a_key_in_each_mode(office: Office, tmp_path: Path) -> None:
    office.refresh()
    cases = [("auto", "127.0.0.1"), ("auto", "0.0.0.0"), ("keys", "127.0.0.1"), ("loopback-open", "0.0.0.0")]
    cases += [("without-keys", "0.0.0.0")]
    doors = {case: admission(office, tmp_path, access=case[0], host=case[1]) for case in cases}

    async def let_in(client: Sequence[object]) -> list[bool]:
        verdicts = []
        for door in doors.values():
            try:
                verdicts.append(not (await admit(door, client)).identity.is_known)
            except NotAuthenticated:
                verdicts.append(False)
        return verdicts

    assert await let_in(OWN) == [True, False, False, True, True]
    assert await let_in(FAR) == [True, False, False, False, True]
    key, text = office.key("serve")
    assert await let_in(OWN) == [False, False, False, True, True]
    office.clock.advance_us(1)
    for door in doors.values():
        assert (await admit(door, FAR, bearing(text))).identity.key_id == key.id


async def test_before_keys_are_known_nobody_is_let_in(office: Office, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="keys are not known yet"):
        await admit(admission(office, tmp_path), OWN)
    open_to_all = admission(office, tmp_path, access="without-keys")
    assert not (await admit(open_to_all, FAR)).identity.is_known


async def test_anyone_may_change_things_only_where_the_setting_says_so(office: Office, tmp_path: Path) -> None:
    office.refresh()
    assert (await admit(admission(office, tmp_path), OWN)).identity.roles == {"read", "serve", "write-events"}
    assert "operate" in (await admit(admission(office, tmp_path, manage=True), OWN)).identity.roles


async def test_a_user_is_believed_from_trusted_proxies_alone(office: Office, tmp_path: Path) -> None:
    office.key("serve")
    options = {"identity_header": "X-Forwarded-User", "trusted_proxies": "10.0.0.0/8", "identity_roles": "read,operate"}
    door = admission(office, tmp_path, **options)
    user = (b"x-forwarded-user", b"ann@shop.example")
    passed = await admit(door, PROXY, user)
    assert (passed.identity.name, passed.identity.roles) == ("user ann@shop.example", {"read", "operate"})
    assert passed.identity.actor(door.address(dict([user]), PROXY)) == "user ann@shop.example from 10.0.0.7"
    for client in (FAR, OWN, None):
        with pytest.raises(BadInput, match="header x-forwarded-user must be sent by a proxy in trusted_proxies alone"):
            await door.admit(dict([user]), [user], client)
    for values in ([b"a b"], [b""], [b"a", b"b"], [b"\xff"], [b"x" * 129]):
        with pytest.raises(BadInput, match="sent once, 1 to 128 visible ASCII letters"):
            await admit(door, PROXY, *((b"x-forwarded-user", value) for value in values))
    with pytest.raises(NotAuthenticated):
        await admit(door, PROXY)
    assert door.by_address


def test_the_address_behind_a_trusted_proxy(office: Office, tmp_path: Path) -> None:
    door = admission(office, tmp_path, trusted_proxies="10.0.0.0/8")
    head = {b"x-forwarded-for": b"203.0.113.1, 198.51.100.2"}
    assert door.address(head, PROXY) == "198.51.100.2"
    assert door.address(head, FAR) == "192.0.2.9"
    assert door.address({b"x-forwarded-for": b"nonsense"}, PROXY) == "10.0.0.7"
    assert door.address({}, None) == "unknown"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"identity_header": "X-User"}, "setting identity_header must come with trusted_proxies"),
        ({"identity_roles": "owner"}, "setting identity_roles must be of read, serve"),
        ({"access": "maybe"}, "setting access .*must be one of auto, keys, loopback-open, without-keys, got 'maybe'"),
        ({"trusted_proxies": "proxy"}, "setting trusted_proxies .*must be addresses or networks"),
        ({"origins": "*"}, "setting origins .*no path, no \\*"),
        ({"origins": "https://shop.example/"}, "setting origins"),
    ],
)
def test_settings_that_cannot_be_meant(office: Office, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(BadSetting, match=message):
        admission(office, tmp_path, **options)


async def test_a_thread_that_may_wait_decides_alike(office: Office, tmp_path: Path) -> None:
    key, text = office.key("read")
    door = admission(office, tmp_path)
    assert door.admit_now(dict([bearing(text)]), [bearing(text)], FAR).identity.key_id == key.id
    with pytest.raises(NotAuthenticated, match="request must have a key, as header Authorization"):
        door.admit_now({}, [], FAR)
