"""Which web pages may call the service: CORS, cross-site requests, and the Host header of a request without a key.

A page that a browser shows may send requests to any address that the browser reaches, also to this machine. So what
changes anything is refused to pages of other origins unless they are declared, and so is a request without a key whose
Host is a name: after DNS rebinding such a page counts as the same origin.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address

from flyball.access import Authenticator, Identity, is_in_force
from flyball.core import NotAllowed
from flyball.serving.http.route_roles import OPEN

MAX_AGE_S = 600
"""For how long a browser may keep the answer to a preflight request."""

_METHODS, _HEADERS = b"GET, POST", b"authorization, content-type, idempotency-key, traceparent, x-flyball-arm"
_SHOWN = b"x-flyball-prediction, x-flyball-level, x-flyball-version, x-flyball-stale-s, retry-after"
_MAX_HOSTS = 256
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9.-]+))(?::[0-9]{1,5})?")
Head = Mapping[bytes, bytes]
HeaderLines = list[tuple[bytes, bytes]]


class Origins:
    """`declared`: the origins of the settings. Those of keys in force count for their keys, for preflights and for
    refusals. `checks_host`: whether there may be requests without a key that only this machine may send."""

    def __init__(self, declared: tuple[str, ...], authenticator: Authenticator, checks_host: bool) -> None:
        self._declared = frozenset(origin.encode() for origin in declared)
        self._authenticator, self._checks_host = authenticator, checks_host
        self._of_keys: tuple[int, frozenset[bytes]] = (-1, frozenset())
        self._hosts: set[bytes] = set()

    def check(self, head: Head, method: str, role: str | None, identity: Identity) -> None:
        """Raise `NotAllowed` for a request of a page that may not send it, or to a host that it must not be sent to."""
        if self._checks_host and not identity.is_known and role != OPEN:
            self._check_host(head.get(b"host", b""))
        origin, site = head.get(b"origin"), head.get(b"sec-fetch-site")
        if identity.origins:
            self._check_bound(head, origin, site, identity)
        elif (origin is not None or site is not None) and not _only_reads(method, role):
            self._check_page(head, origin, site)

    def is_plain(self, head: Head, identity: Identity) -> bool:
        """Whether a request is of no page, and needs no answer about origins."""
        if b"origin" in head or b"sec-fetch-site" in head or identity.origins:
            return False
        return not self._checks_host or identity.is_known or self._is_safe(head.get(b"host", b""))

    def preflight(self, head: Head) -> HeaderLines | None:
        """The headers of the answer to a preflight request; None for a request that is none.

        Raises `NotAllowed` for a page that is not declared.
        """
        origin = head.get(b"origin")
        if origin is None or b"access-control-request-method" not in head:
            return None
        if not self._is_declared(origin):
            raise NotAllowed(_must(origin))
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", b"%d" % MAX_AGE_S),
            (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]

    def shown(self, head: Head, identity: Identity | None = None) -> HeaderLines:
        """The headers that let a declared page read the answer; `identity`: of a request that was let in, which a page
        may read by its own key alone."""
        origin = head.get(b"origin")
        if origin is None:
            return []
        bound = identity is None or origin.decode("latin-1") in identity.origins
        if not (origin in self._declared or (bound and self._is_declared(origin))):
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _SHOWN),
            (b"vary", b"Origin"),
        ]

    def _check_bound(self, head: Head, origin: bytes | None, site: bytes | None, identity: Identity) -> None:
        """Of a key of web pages: it must come from one of them."""
        pages = {page.encode() for page in identity.origins}
        host = head.get(b"host", b"")
        own = site == b"same-origin" and (b"https://" + host in pages or b"http://" + host in pages)
        if origin not in pages and not (origin is None and own):
            got = "none" if origin is None else origin.decode("latin-1")
            raise NotAllowed(f"origin of a request with this key must be {', '.join(identity.origins)}, got {got}")

    def _check_page(self, head: Head, origin: bytes | None, site: bytes | None) -> None:
        if origin is None:
            if site in (b"same-origin", b"none"):
                return
            raise NotAllowed(_must(b"a page of another site, which it does not name"))
        if origin.partition(b"://")[2] != head.get(b"host", b"") and origin not in self._declared:
            raise NotAllowed(_must(origin))

    def _check_host(self, host: bytes) -> None:
        if not self._is_safe(host):
            raise NotAllowed(
                "host of a request without a key must be localhost or an IP address, got "
                f"{host.decode('latin-1')!r}: a page of that name could be behind it; make a key (flyball keys create)"
            )

    def _is_safe(self, host: bytes) -> bool:
        """Whether no page elsewhere can have this host; those seen before are known."""
        if host in self._hosts:
            return True
        if not _is_address(host):
            return False
        if len(self._hosts) >= _MAX_HOSTS:
            self._hosts.clear()
        self._hosts.add(host)
        return True

    def _is_declared(self, origin: bytes) -> bool:
        return origin in self._declared or origin in self._pages_of_keys()

    def _pages_of_keys(self) -> frozenset[bytes]:
        generation = self._authenticator.generation
        if self._of_keys[0] != generation:
            keys = (self._authenticator.keys or {}).values()
            pages = {
                origin.encode()
                for key in keys
                if is_in_force(key, self._authenticator.now_us())
                for origin in key.origins
            }
            self._of_keys = (generation, frozenset(pages))
        return self._of_keys[1]


def _only_reads(method: str, role: str | None) -> bool:
    """Whether a request leaves nothing behind. Answers do: their record, and the request as an event."""
    return method in ("GET", "HEAD") and role in (None, OPEN, "read", "admin")


def _is_address(host: bytes) -> bool:
    """Whether a host is an address or localhost, which no page elsewhere can have.

    >>> [_is_address(host) for host in (b"localhost:8082", b"[::1]:80", b"10.0.0.7", b"shop.example", b"")]
    [True, True, True, False, False]
    >>> [_is_address(host) for host in (b"[::1].shop.example", b"127.0.0.1:80@shop.example", b"127.0.0.1:x")]
    [False, False, False]
    """
    parts = _HOST.fullmatch(host.decode("latin-1").lower())
    if parts is None:
        return False
    name = parts["six"] or parts["name"]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _must(got: bytes) -> str:
    return (
        "origin of a page that asks for an answer or changes something must be this service or one in the setting "
        f"origins, got {got.decode('latin-1')}: declare it, or give its pages a key with --origin"
    )
