"""Files that are run as code, or that decide who may do what: only those that nobody else may have written."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from flyball.core.errors import Refused


def check_trusted_file(path: Path, what: str, user: int | None = None) -> None:
    """Raise `Refused` unless `path` is owned by the user or root, and only they and its group may write it.

    The same holds for its folder, in which a file could be replaced; one with the sticky bit, such as /tmp, is fine.
    `what`: the file in words. `user`: a user id, by default that of this process.
    """
    for file, name in ((path, f"{what} {path}"), (path.parent, f"the folder of {what} {path}")):
        _check(file, name, "as it is run with your rights", user)


def check_trusted_home(home: Path, names: Sequence[str], user: int | None = None) -> None:
    """The same for a home, and for those of its files `names` that are there; a home that is not there is fine."""
    for path in (home, *(home / name for name in names)):
        if path.exists():
            kind = "home" if path == home else "file of the home"
            _check(path, f"{kind} {path}", "as what is in it decides who has a key and what is run", user)


def _check(path: Path, name: str, reason: str, user: int | None) -> None:
    own = os.geteuid() if user is None else user
    state = path.stat()
    if state.st_uid not in (own, 0):
        raise Refused(
            f"{name} must be owned by you (user {own}) or by root, {reason}, got user {state.st_uid}: run as that "
            "user, or read it, then copy it or change its owner"
        )
    if state.st_mode & stat.S_IWOTH and not (path.is_dir() and state.st_mode & stat.S_ISVTX):
        raise Refused(
            f"{name} must not be writable by everybody, {reason}, got mode {state.st_mode & 0o7777:o}: chmod o-w {path}"
        )
