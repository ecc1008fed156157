"""Who sends a request: by a key, by a header of a trusted proxy, or anyone where no key is needed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from flyball.access import Authenticator, Identity, Pass, anyone, check_roles
from flyball.core import BadInput, BadSetting, NotAuthenticated, StoreUnavailable
from flyball.settings import Settings

HeaderPairs = Iterable[tuple[bytes, bytes]]
Client = Sequence[object] | None

_BEARER = b"bearer "
_USER = re.compile(rb"[!-~]{1,128}")
_MAX_USERS = 1_024


class Admission:
    """Decides who sends a request. `at_once` never waits; `admit` may wait for a slow hash.

    Raises `BadSetting` for settings that contradict each other.
    """

    def __init__(self, settings: Settings, authenticator: Authenticator) -> None:
        self._mode, self._authenticator = settings.access, authenticator
        self.is_local = is_loopback(settings.host)
        self.checks_host = self.is_local or self._mode == "loopback-open"
        """Whether there may be requests without a key, since only this machine can send them."""
        self._header = settings.identity_header.lower().encode()
        self._networks = [ip_network(network) for network in settings.trusted_proxies]
        self._user_roles = check_identity_settings(settings)
        roles = ("read", "serve", "write-events", *(("operate",) if settings.manage else ()))
        self._anyone = Pass(anyone(roles), None, 0)
        self._users: dict[bytes, Pass] = {}
        self.by_address = bool(self._header) or self._mode == "loopback-open"
        """Whether equal requests from two addresses may be of two identities."""

    @property
    def generation(self) -> int:
        """Grows whenever a pass may have become invalid."""
        return self._authenticator.generation

    @property
    def open_roles(self) -> frozenset[str]:
        """What is allowed without a key, at least to some."""
        try:
            is_open = self._mode in ("without-keys", "loopback-open") or not self._may_matter()
        except StoreUnavailable:
            return frozenset()
        return self._anyone.identity.roles if is_open else frozenset()

    def at_once(self, head: Mapping[bytes, bytes], headers: HeaderPairs, client: Client) -> Pass | None:
        """The pass of a request that can be known without waiting; None for one that `admit` decides about."""
        presented = self._presented(head)
        if presented:
            return self._authenticator.recognized(presented)
        if self._header and self._header in head:
            return self._user(head[self._header], headers, client)
        return None if self._needs_key(client) else self._anyone

    async def admit(self, head: Mapping[bytes, bytes], headers: HeaderPairs, client: Client) -> Pass:
        """The pass of a request.

        Raises `NotAuthenticated`, `TooManyAttempts`, `BadInput` for an identity header that is not believed,
        `StoreUnavailable` before keys are known.
        """
        known = self.at_once(head, headers, client)
        if known is not None:
            return known
        return await self._authenticator.verified(self._needed(head), self.address(head, client))

    def admit_now(self, head: Mapping[bytes, bytes], headers: HeaderPairs, client: Client) -> Pass:
        """As `admit`, for a thread that may wait."""
        known = self.at_once(head, headers, client)
        return (
            known
            if known is not None
            else self._authenticator.verified_now(self._needed(head), self.address(head, client))
        )

    def address(self, head: Mapping[bytes, bytes], client: Client) -> str:
        """Where a request comes from: of a trusted proxy the address that it names last."""
        peer = str(client[0]) if client else "unknown"
        forwarded = head.get(b"x-forwarded-for", b"").rpartition(b",")[2].strip()
        if forwarded and self._is_trusted(client):
            try:
                return str(ip_address(forwarded.decode("latin-1")))
            except ValueError:
                return peer
        return peer

    def _needed(self, head: Mapping[bytes, bytes]) -> bytes:
        presented = self._presented(head)
        if not presented:
            raise NotAuthenticated(
                "request must have a key, as header Authorization: Bearer KEY, got none: flyball keys create makes one"
            )
        return presented

    def _presented(self, head: Mapping[bytes, bytes]) -> bytes:
        """The key that a request presents, b"" for none, or where none is needed and none was ever made."""
        value = head.get(b"authorization", b"")
        if value[: len(_BEARER)].lower() != _BEARER or not self._may_matter():
            return b""
        return value[len(_BEARER) :].strip() or b"?"

    def _may_matter(self) -> bool:
        """Whether there may be keys; a client that presents something else to a service without keys is let in."""
        keys = self._authenticator.keys
        if keys is None and self._mode != "without-keys":
            raise StoreUnavailable(
                "keys are not known yet, as the registry could not be read: send it again in a moment"
            )
        return bool(keys) or self._mode == "keys" or (self._mode == "auto" and not self.is_local)

    def _needs_key(self, client: Client) -> bool:
        if self._mode == "without-keys" or (self._mode == "loopback-open" and _is_own(client)):
            return False
        return self._may_matter() or self._mode == "loopback-open"

    def _user(self, value: bytes, headers: HeaderPairs, client: Client) -> Pass:
        shown = self._header.decode()
        if not self._is_trusted(client):
            got = str(client[0]) if client else "an unknown address"
            raise BadInput(f"header {shown}", "sent by a proxy in trusted_proxies alone", f"one from {got}")
        if sum(name == self._header for name, _ in headers) != 1 or not _USER.fullmatch(value):
            raise BadInput(f"header {shown}", "sent once, 1 to 128 visible ASCII letters", value.decode("latin-1"))
        known = self._users.get(value)
        if known is None:
            if len(self._users) >= _MAX_USERS:
                self._users.clear()
            known = self._users[value] = Pass(Identity(f"user {value.decode()}", self._user_roles), None, 0)
        return known

    def _is_trusted(self, client: Client) -> bool:
        return bool(self._networks) and _in_any(client, self._networks)


def check_identity_settings(settings: Settings) -> frozenset[str]:
    """The roles of people whom a proxy names; raises `BadSetting` for settings that contradict each other."""
    if settings.identity_header and not settings.trusted_proxies:
        raise BadSetting(
            "setting identity_header must come with trusted_proxies, the addresses that it is believed from, got "
            f"{settings.identity_header!r} without: anybody could send it"
        )
    try:
        return frozenset(check_roles(settings.identity_roles, "setting identity_roles"))
    except BadInput as error:
        raise BadSetting(str(error)) from None


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own(client: Client) -> bool:
    return client is not None and is_loopback(str(client[0]))


def _in_any(client: Client, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    if not client:
        return False
    try:
        address = ip_address(str(client[0]))
    except ValueError:
        return False
    return any(address in network for network in networks)
