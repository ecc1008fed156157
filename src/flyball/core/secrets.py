"""Passwords and keys in URLs: showing a URL without them, and whether it holds any."""

import re
from typing import NamedTuple

_SECRET = ("password", "secret", "token", "key")
_PATHS = ("password_file", "key_file", "sslkey")


def masked(url: str) -> str:
    """A URL that may be shown: the password in it, and options that hold secrets, are replaced by ***.

    >>> masked("redis://ann:s3cret@cache:6379/0?name=shop")
    'redis://ann:***@cache:6379/0?name=shop'
    >>> masked("redis://ann:s3/cr@t@cache:6379/0")  # wrong, as / must be written %2F, and masked nevertheless
    'redis://ann:***@cache:6379/0'
    """
    scheme, separator, body = url.partition("://")
    if not separator or not scheme:
        return _without_login(url)
    if unescaped_login(url):
        return f"{scheme}://{body.partition(':')[0]}:***@{body.rpartition('@')[2]}"
    parts = _split(url)
    name, at, host = parts.netloc.rpartition("@")
    if at and ":" in name:
        name = f"{name.partition(':')[0]}:***"
    query = "&".join(_masked_option(option) for option in parts.query.split("&")) if parts.query else ""
    if not parts.netloc and not query:
        return url
    return f"{parts.scheme}://{name}{at}{host}{parts.path}" + (f"?{query}" if query else "")


def masked_sink(url: str) -> str:
    """The URL of a sink that may be shown: as `masked`, and without the path, in which webhooks have their secret.

    >>> masked_sink("slack+https://hooks.slack.com/services/T1/B2/s3cret?severity=high")
    'slack+https://hooks.slack.com/***?severity=high'
    """
    shown = masked(url)
    parts = _split(shown) if "://" in shown else None
    if parts is None:
        return "***"
    path = "/***" if parts.path.strip("/") else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{query}"


def holds_secret(url: str, path_is_secret: bool = False) -> bool:
    """Whether a URL has a password or a secret option. `path_is_secret`: as the path of a webhook is.

    >>> holds_secret("redis://ann:s3cret@cache"), holds_secret("redis://ann@cache?password_file=/run/secrets/cache")
    (True, False)
    """
    if unescaped_login(url):
        return True
    parts = _split(url)
    login = parts.netloc.rpartition("@")[0]
    if path_is_secret and parts.netloc and parts.path.strip("/"):
        return True
    return ":" in login or any(_masked_option(option) != option for option in parts.query.split("&"))


def unescaped_login(url: str) -> bool:
    """Whether a password in a URL has a character that ends the name of a server: / ? or #.

    Paths and options may have an @, too, so what stands before it counts only where it looks like user:password.

    >>> unescaped_login("redis://:a/b@cache"), unescaped_login("redis://:a@b/c@cache")
    (True, True)
    >>> unescaped_login("smtp://ann:pass@mail:587?from=ann@example.org")
    False
    """
    parts = _split(url)
    server = parts.netloc
    path = url.partition("://")[2][len(server) :]
    before, at, _ = path.partition("@")
    if "@" in server:
        return ":" in server.rpartition("@")[0] and bool(at) and "=" not in before
    behind = server.rpartition("]")[2] if server.startswith("[") else server  # an address of IPv6
    _, colon, port = behind.partition(":")
    if not colon or "@" not in url:
        return False
    return "=" not in before or not port.partition(",")[0].isdecimal()


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret, and not the path of a file with one.

    >>> [is_secret_name(name) for name in ("api_token", "password_file", "stars")]
    [True, False, False]
    """
    return name not in _PATHS and any(word in name.lower() for word in _SECRET)


class _Parts(NamedTuple):
    scheme: str
    netloc: str
    path: str
    query: str


def _split(url: str) -> _Parts:
    """The parts of any text, where urllib refuses some."""
    scheme, _, body = url.partition("://")
    netloc = re.split("[/?#]", body, maxsplit=1)[0]
    path, _, query = body[len(netloc) :].partition("#")[0].partition("?")
    return _Parts(scheme, netloc, path, query)


def _without_login(text: str) -> str:
    """A text that is no URL, without what may be a login."""
    return f"***@{text.rpartition('@')[2]}" if "@" in text and ":" in text.rpartition("@")[0] else text


def _masked_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    return f"{name}=***" if equals and is_secret_name(name) else option
