"""Compares the features that a version learned from with those declared now."""

from collections.abc import Mapping
from typing import Any

from flyball.core import Refused
from flyball.policy import differences, in_words

Definitions = Mapping[str, Mapping[str, Any]]
"""{feature: its definition as plain values}, as `About.definitions`."""


def check_hashes(
    live: Mapping[str, str],
    learned: Mapping[str, str],
    who: str = "the version",
    definitions: tuple[Definitions, Definitions] | None = None,
) -> None:
    """Raise `Refused` for the first feature of `learned` that is missing or different in `live`.

    `definitions`: those of the version and those declared now, by which the message says what differs.
    """
    for name, expected in sorted(learned.items()):
        declared = live.get(name)
        if declared == expected:
            continue
        must = f"feature {name} must be as {who} learned it"
        then = "declare it as it was (of what it reads that is renamed every earlier name, oldest first), or run"
        if declared is None:
            must += f", {_defined(name, definitions)}got no feature of that name in the application"
        elif definitions is None:
            must += ", got another definition in the application"
        else:
            must += f", got another definition ({_changes(name, *definitions)})"
        raise Refused(f"{must}: {then} flyball learn")


def _defined(name: str, definitions: tuple[Definitions, Definitions] | None) -> str:
    """The definition that a version learned from, where it is known, for a message."""
    known = None if definitions is None else definitions[0].get(name)
    return "" if known is None else f"{in_words(known)}; "


def _changes(name: str, learned: Definitions, declared: Definitions) -> str:
    """What differs between two definitions of a feature, or of what it reads."""
    if name not in learned:
        return "an earlier release of Flyball, which hashed definitions otherwise, stamped it"
    changes = differences("", learned[name], declared[name])
    for source in learned[name].get("inputs", ()):
        if source in learned and source in declared:
            changes += differences(source, learned[source], declared[source])
    return "; ".join(changes) or "other earlier names of what it reads, or another release of Flyball that hashed it"
