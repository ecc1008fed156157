"""Backends are chosen by URL: one table for each kind of store, one function to load them."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from flyball.core.errors import BadSetting, UnknownBackend
from flyball.core.secrets import masked, unescaped_login


class Url(msgspec.Struct, frozen=True):
    """A store's address: `scheme://path?option=value`, or `scheme://user:password@address?option=value`.

    `path`: all before the options, with the login; `address`: that without the login.
    """

    scheme: str
    path: str
    options: dict[str, str]
    user: str = ""
    password: str = ""
    address: str = ""

    def __repr__(self) -> str:
        return f"Url({self.scheme}://{self.address})"

    def check_options(self, known: Sequence[str]) -> None:
        """Raise `BadSetting` for an option that is not `known`."""
        for name in self.options:
            if name not in known:
                must = f"option of {self.scheme}:// must be one of {', '.join(known)}"
                raise BadSetting(f"{must if known else f'{self.scheme}:// must have no options here'}, got {name!r}")

    def read_password(self) -> str:
        """The password: that of the URL, or the text of the file that the option password_file names.

        Raises `BadSetting` for both, and for a file that cannot be read.
        """
        path = self.options.get("password_file")
        if path is None:
            return self.password
        if self.password:
            raise BadSetting(f"{self.scheme}:// must have a password or option password_file, got both: leave one out")
        try:
            return Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(
                f"option password_file of {self.scheme}:// must be a file with the password, got {path}: {error}"
            ) from None

    def integer(self, name: str, default: int) -> int:
        """The whole-number option `name`, or `default`; raises `BadSetting` for anything else."""
        text = self.options.get(name)
        if text is None:
            return default
        if not text.isdecimal():
            raise BadSetting(f"option {name} of {self.scheme}:// must be a whole number, got {text!r}")
        return int(text)


def parse_url(text: str) -> Url:
    """`sqlite:///a/b.db?partitions=4` → Url("sqlite", "/a/b.db", {"partitions": "4"}); raises `BadSetting`.

    A password may have any character, those with a meaning in a URL (/ ? # @ %) percent-encoded.

    >>> parse_url("redis://ann:a%2Fb%40c@cache:6379/0").password
    'a/b@c'
    """
    try:
        parts = urlsplit(text)
        is_wrong = unescaped_login(text)
    except ValueError:  # whose text shows the password
        raise BadSetting(
            f"store URL must have [ and ] only around an address of IPv6, got {masked(text)!r}: in a password write "
            "%5B and %5D"
        ) from None
    if not parts.scheme or "://" not in text:
        raise BadSetting(f"store URL must look like scheme://path, got {masked(text)!r}")
    if is_wrong:
        raise BadSetting(
            f"user and password in {masked(text)} must have / ? # and @ percent-encoded, got one that is not: write "
            "%2F for /, %3F for ?, %23 for #, %40 for @, or name a file by password_file"
        )
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return Url(
        parts.scheme,
        unquote(parts.netloc + parts.path),
        _options(parts.scheme, parts.query),
        unquote(user),
        unquote(password),
        unquote(host + parts.path),
    )


def _options(scheme: str, query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in options:
            raise BadSetting(f"option {name} of {scheme}:// must stand once, got it twice")
        options[name] = value
    return options


def load_backend(kind: str, table: Mapping[str, str], scheme: str) -> Any:
    """The class that `table` ({scheme: "module:name"}) lists for `scheme`; raises `UnknownBackend`."""
    if scheme not in table:
        raise UnknownBackend(kind, scheme, table)
    module, name = table[scheme].split(":")
    return getattr(import_module(module), name)


def quoted_path(path: Path) -> str:
    """A path as it stands in a URL, where % # and ? mean something else.

    >>> quoted_path(Path("/srv/100%/shop"))
    '/srv/100%25/shop'
    """
    text = str(path)
    for letter in "%#?":
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def local_path(kind: str, url: str, scheme: str = "file") -> Path:
    """The path of a store that must be on this machine: `file:///srv/shop/history` → /srv/shop/history.

    Raises `UnknownBackend` for a URL with another scheme.
    """
    parsed = parse_url(url)
    if parsed.scheme != scheme:
        raise UnknownBackend(kind, parsed.scheme, [scheme])
    parsed.check_options(())
    return Path(parsed.path)
