"""The lineage of a version: the commit of the application's code, and the installed packages."""

import hashlib
import re
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec

UNKNOWN = "unknown"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_GIT_S = 10


class CodeState(msgspec.Struct, frozen=True):
    """The commit of the application's repository; `dirty`: a tracked file, or the application file, differs from it."""

    commit: str
    dirty: bool


def code_state(file: Path | None) -> CodeState:
    """The state of the repository of the application file; without git or a repository the commit is "unknown"."""
    if file is None:
        return CodeState(UNKNOWN, False)
    commit = _git(file.parent, "rev-parse", "HEAD")
    if commit is None:
        return CodeState(UNKNOWN, False)
    changed = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    tracked = _git(file.parent, "ls-files", "--error-unmatch", "--", file.name)
    return CodeState(commit, bool(changed) or tracked is None)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        finished = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return finished.stdout.strip() if finished.returncode == 0 else None


def dependencies_hash(package: str = "flyball") -> str:
    """sha256 of the sorted `name==version` lines of `package` and its installed dependencies."""
    return hashlib.sha256("\n".join(dependencies(package)).encode()).hexdigest()


def dependencies(package: str = "flyball") -> list[str]:
    """`name==version` of `package`, its extras and its transitive dependencies, as far as they are installed.

    Extras count because a model may answer with them, such as an estimator of scikit-learn.
    """
    version_of: dict[str, str] = {}
    root = _canonical(package)
    waiting = [root]
    while waiting:
        name = _canonical(waiting.pop())
        if name in version_of:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # needed on another platform or Python only
        version_of[name] = distribution.version
        for requirement in distribution.requires or []:
            marker = requirement.partition(";")[2]
            match = _NAME.match(requirement)
            if match and (name == root or not re.search(r"\bextra\s*==", marker)):
                waiting.append(match.group())
    return sorted(f"{name}=={version}" for name, version in version_of.items())


def _canonical(name: str) -> str:
    # PEP 503
    return re.sub(r"[-_.]+", "-", name).lower()
