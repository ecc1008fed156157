"""The layout of an application's home folder: the only place that names its files and folders.

Promises: a `HomeLayout` is a value; asking it for a path touches no disk.
"""

from pathlib import Path
from shlex import quote

import msgspec

from flyball.core import FileLock, HomeBusy, check_trusted_home, quoted_path

__all__ = ["HomeLayout", "check_own_home", "default_home", "interrupted_removal", "with_home"]


SEARCH_PREFIX, BACKTEST_PREFIX = "search-", "backtest-"
"""How the names of the folders begin in which a search and a backtest put what their tasks read, while they run."""


_DECISIVE = ("settings.toml", "registry.db")
"""Files of a home by which whoever writes them has what is run, and keys."""


def check_own_home(folder: Path) -> None:
    """Raise `Refused` for a home that somebody else may have written; one that is not there is fine."""
    check_trusted_home(folder.absolute(), _DECISIVE)


class HomeLayout(msgspec.Struct, frozen=True):
    """The folder that an application's state is in by default, and where each part of it lies.

    >>> HomeLayout(Path("/srv/shop")).events
    'sqlite:///srv/shop/events.db?partitions=4'
    """

    folder: Path

    @property
    def owner(self) -> Path:
        """The file that names the application that began this home."""
        return self.folder / "application"

    @property
    def settings(self) -> Path:
        return self.folder / "settings.toml"

    @property
    def world(self) -> Path:
        """The plan of the simulated world, once all of its past is in the home."""
        return self.folder / "world.json"

    @property
    def world_begun(self) -> Path:
        """The same while its past is being ingested."""
        return self.folder / "world.begun.json"

    @property
    def simulated(self) -> Path:
        """Marks the home as made by `flyball simulate`."""
        return self.folder / "simulated"

    @property
    def moved(self) -> Path:
        """Says where the home was moved to."""
        return self.folder / "moved.json"

    @property
    def copying(self) -> Path:
        """Marks the home as a copy of another one that is not complete."""
        return self.folder / "copying.json"

    @property
    def removal(self) -> Path:
        """The folder of a removal under way: its plan, and what is built beside to take the place of what is there."""
        return self.folder / "removal"

    @property
    def removal_plan(self) -> Path:
        """The plan of a removal under way; while it is there, no log worker and no governor runs on this machine."""
        return self.removal / "plan.json"

    @property
    def removal_lock(self) -> Path:
        """Locked by the process that carries out a removal."""
        return self.run / "removal.lock"

    @property
    def erased(self) -> Path:
        """Keyed digests of the people who were erased, whose events must not come back."""
        return self.folder / "erased.json"

    @property
    def renewal(self) -> Path:
        """Written when the processes that answer must be replaced, since they may have in memory what was removed."""
        return self.run / "renewal"

    @property
    def turnstile(self) -> Path:
        """The lock that writers to the stores pass before they take the next one."""
        return self.run / "write.turnstile"

    @property
    def write_lock(self) -> Path:
        """The lock that writers to the stores share."""
        return self.run / "write.lock"

    @property
    def backup(self) -> Path:
        """The copy of the home that backups are made of."""
        return self.folder / "backup"

    @property
    def run(self) -> Path:
        """Locks, reports, counters and logs of running processes."""
        return self.folder / "run"

    @property
    def counters(self) -> Path:
        return self.run / "counters"

    @property
    def late_answers(self) -> Path:
        """When answers were last late, for those who load events in bulk."""
        return self.run / "late.moment"

    @property
    def draining(self) -> Path:
        """There while the processes that answer must say that they are not ready, since they are about to end."""
        return self.run / "draining"

    @property
    def reports(self) -> Path:
        """One JSON file for each process that reports its status."""
        return self.run

    @property
    def sources(self) -> Path:
        """The names of where events came from."""
        return self.folder / "sources.txt"

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def _path(self) -> str:
        """The folder as it stands in a URL."""
        return quoted_path(self.folder)

    @property
    def events(self) -> str:
        return f"sqlite://{self._path}/events.db?partitions=4"

    @property
    def predictions(self) -> str:
        return f"sqlite://{self._path}/predictions.db?partitions=1&unique=0"

    @property
    def quarantine(self) -> str:
        return f"sqlite://{self._path}/quarantine.db"

    @property
    def catalog(self) -> str:
        return f"sqlite://{self._path}/catalog.db"

    @property
    def state(self) -> str:
        return f"lmdb://{self._path}/state"

    @property
    def features(self) -> str:
        return f"lmdb://{self._path}/features"

    @property
    def registry(self) -> str:
        return f"sqlite://{self._path}/registry.db"

    @property
    def outcomes(self) -> str:
        return f"sqlite://{self._path}/outcomes.db"

    @property
    def apply_delays(self) -> str:
        return f"file://{self._path}/apply_delays.json"

    @property
    def history(self) -> str:
        return f"file://{self._path}/history"

    @property
    def monitoring(self) -> Path:
        """What watching keeps: profiles of windows, volumes and the state of monitors; rebuilt from log and history."""
        return self.folder / "monitoring"

    @property
    def cache(self) -> Path:
        """This machine's copies of files in object stores; what is missing is fetched again."""
        return self.folder / "cache"

    @property
    def artifacts(self) -> str:
        return f"file://{self._path}/artifacts"


def with_home(command: str, home: Path | str | None) -> str:
    """A command that is shown to be pasted, with the home that was named, None or "" for the default.

    >>> with_home("flyball status shop.py", "../my home")
    "flyball status shop.py --home '../my home'"
    """
    return f"{command} --home {quote(str(home))}" if home else command


def default_home(spec: str, world: bool = False) -> Path:
    """The home of an application unless `--home` names another: `.flyball/` and its short name; with a simulated
    `world` another one.

    >>> default_home("models/shop.py").as_posix(), default_home("models/shop.py", world=True).as_posix()
    ('.flyball/shop', '.flyball/shop-world')
    """
    name = spec.rsplit(":", 1)[0].rsplit(".", 1)[-1] if ":" in spec else Path(spec).stem
    return Path(".flyball") / (f"{name}-world" if world else name)


class _BegunRemoval(msgspec.Struct, frozen=True):
    """What the plan of a removal says of its command."""

    action: str
    subject: str


_COMPLETED_BY = {"retention": "flyball retention APP", "ingest undo": "flyball ingest undo APP {subject}"}


def interrupted_removal(layout: HomeLayout) -> str:
    """That a removal was begun and nothing carries it out any more, with the command that completes it; "" otherwise.

    Costs a microsecond while no removal is under way.
    """
    begun = _interrupted(layout)
    if begun is None:
        return ""
    command = _COMPLETED_BY.get(begun.action, "flyball erase APP --continue").format(subject=begun.subject)
    return (
        f"a removal was interrupted: {command} completes it; until then the log worker, learning and watching stand "
        "aside"
    )


def interrupted_retention(layout: HomeLayout) -> bool:
    """Whether a removal by retention was begun and nothing carries it out any more."""
    begun = _interrupted(layout)
    return begun is not None and begun.action == "retention"


def _interrupted(layout: HomeLayout) -> _BegunRemoval | None:
    try:
        begun = msgspec.json.decode(layout.removal_plan.read_bytes(), type=_BegunRemoval)
        with FileLock(layout.removal_lock, "a look whether a removal runs"):
            if not layout.removal_plan.exists():  # it has just ended
                return None
    except (FileNotFoundError, HomeBusy, PermissionError):  # none is under way, or it runs; its owner alone may know
        return None
    return begun
