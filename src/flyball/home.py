"""The layout of an application's home folder: the only place that names its files and folders.

Promises: a `HomeLayout` is a value; asking it for a path touches no disk.
"""

from pathlib import Path

import msgspec

__all__ = ["HomeLayout", "default_home"]


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
    def run(self) -> Path:
        """Locks, reports, counters and logs of running processes."""
        return self.folder / "run"

    @property
    def counters(self) -> Path:
        return self.run / "counters"

    @property
    def reports(self) -> Path:
        """One JSON file for each process that reports its status."""
        return self.run

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def events(self) -> str:
        return f"sqlite://{self.folder}/events.db?partitions=4"

    @property
    def predictions(self) -> str:
        return f"sqlite://{self.folder}/predictions.db?partitions=1&unique=0"

    @property
    def quarantine(self) -> str:
        return f"sqlite://{self.folder}/quarantine.db"

    @property
    def catalog(self) -> str:
        return f"sqlite://{self.folder}/catalog.db"

    @property
    def state(self) -> str:
        return f"lmdb://{self.folder}/state"

    @property
    def features(self) -> str:
        return f"lmdb://{self.folder}/features"

    @property
    def registry(self) -> str:
        return f"sqlite://{self.folder}/registry.db"

    @property
    def outcomes(self) -> str:
        return f"sqlite://{self.folder}/outcomes.db"

    @property
    def apply_delays(self) -> str:
        return f"file://{self.folder}/apply_delays.json"

    @property
    def history(self) -> str:
        return f"file://{self.folder}/history"

    @property
    def monitoring(self) -> Path:
        """What watching keeps: profiles of windows, volumes and the state of monitors; rebuilt from log and history."""
        return self.folder / "monitoring"

    @property
    def artifacts(self) -> str:
        return f"file://{self.folder}/artifacts"


def default_home(spec: str, world: bool = False) -> Path:
    """The home of an application unless `--home` names another: `.flyball/` and its short name; with a simulated
    `world` another one.

    >>> default_home("models/shop.py").as_posix(), default_home("models/shop.py", world=True).as_posix()
    ('.flyball/shop', '.flyball/shop-world')
    """
    name = spec.rsplit(":", 1)[0].rsplit(".", 1)[-1] if ":" in spec else Path(spec).stem
    return Path(".flyball") / (f"{name}-world" if world else name)
