"""Writing the files of a deployment: what is there and differs is kept, passwords are made once."""

import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from flyball.core import write_atomic
from flyball.operations.deployment.facts import DeploymentFacts
from flyball.operations.deployment.rendering import PASSWORDS, secret_files


class WrittenFiles(msgspec.Struct, frozen=True):
    """Paths in the folder: written as they were missing, replaced, as they would be written, and kept although they
    differ."""

    written: list[str]
    replaced: list[str]
    unchanged: list[str]
    kept: list[str]


def write_files(facts: DeploymentFacts, texts: Mapping[str, str], replace: bool = False) -> WrittenFiles:
    """Write `texts`, and the secrets that are missing, into the folder of the deployment."""
    folder = facts.root / facts.folder
    done = WrittenFiles([], [], [], [])
    for path, text in texts.items():
        file = folder / path
        if not file.exists():
            done.written.append(path)
        elif file.read_text() == text:
            done.unchanged.append(path)
            continue
        elif replace:
            done.replaced.append(path)
        else:
            done.kept.append(path)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text.encode())
    _write_secrets(folder, secret_files(facts, _passwords(folder / "compose" / "secrets")), done)
    return done


def _write_secrets(folder: Path, texts: Mapping[str, str], done: WrittenFiles) -> None:
    """In folders that only their owner enters; in them anyone may read, as the user of a container is another."""
    for path, text in texts.items():
        file = folder / path
        if file.exists():
            done.unchanged.append(path)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        file.write_text(text)
        file.chmod(0o644)
        done.written.append(path)


def _passwords(folder: Path) -> dict[str, str]:
    """Those that were made before, and random ones."""
    files = {name: folder / name for name in PASSWORDS}
    return {name: file.read_text() if file.exists() else secrets.token_hex(16) for name, file in files.items()}
