"""`flyball backup` and `flyball restore`: a home is put aside whole, and comes back."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from flyball.cli.common import PRIVATE, AppName, Home, Json, Set, open_home, user_name
from flyball.cli.show import counted, progress_line, say, show_json, show_table, warn
from flyball.core import SystemClock, SystemStopwatch, counted_units, format_second

if TYPE_CHECKING:
    from flyball.backup import BackupManifest, BackupRepository

Place = Annotated[
    str,
    typer.Argument(metavar="FOLDER|URL", help="Where backups are: a folder, or the URL of a place in an object store."),
]
Id = Annotated[str | None, typer.Option("--id", help="Which one.", show_default="the latest")]


def register(app: typer.Typer) -> None:
    app.command()(backup)
    app.command("backup list")(list_)
    app.command("backup verify")(verify)
    app.command("backup delete")(delete)
    app.command()(restore)


def backup(
    app: AppName,
    to: Annotated[
        str, typer.Option("--to", metavar="FOLDER|URL", help="A folder, or the URL of a place in an object store.")
    ],
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Make a backup of a home, also while it is in use, wherever its stores are.

    It may be interrupted and run again at any time. What an earlier backup in the same place has is not stored twice.
    """
    from flyball.backup import Backup, open_repository

    runtime = open_home(app, home, chosen)
    repository = open_repository(to, runtime.layout.cache)
    with progress_line(json) as progress:
        report = Backup(runtime, repository, SystemStopwatch(), progress).run(user_name())
    if json:
        show_json(report)
        return
    say(f"{report.id} in {report.where}")
    say(f"  {counted(report.records)}; {counted_units(report.files, 'file')} of {_size(report.bytes)}")
    say(f"  new in this place: {_size(report.stored)}; came meanwhile: {counted_units(report.behind, 'record')}")


def list_(location: Place, json: Json = False) -> None:
    """List the backups in a place, the earliest first."""
    backups = _repository(location).backups()
    if json:
        show_json({"backups": [_plain(manifest) for manifest in backups]})
        return
    if not backups:
        say(f"no backup in {location}")
        return
    rows = [
        [
            manifest.id,
            format_second(manifest.at_us),
            f"{manifest.records.get('events', 0):,}",
            len(manifest.files),
            _size(manifest.bytes),
        ]
        for manifest in backups
    ]
    show_table(["id", "at", "events", "files", "size"], rows, right=["events", "files", "size"])


def verify(location: Place, id_: Id = None, json: Json = False) -> None:
    """Read every byte of a backup and compare it with its SHA-256; all backups in the place unless one is named.

    A chunk that is damaged is moved away, so that the next backup stores it again. Ends with 1 where one is damaged.
    """
    from flyball.core import Refused

    repository = _repository(location)
    verified: list[BackupManifest] = []
    damaged: dict[str, str] = {}
    for id in [id_] if id_ else repository.ids() or [repository.backup().id]:
        try:
            manifest = repository.backup(id)
            with progress_line(json) as progress:
                repository.verify(manifest, progress)
        except Refused as error:
            damaged[id] = str(error)
            warn(f"{id}: {error}")
            continue
        verified.append(manifest)
        if not json:
            say(f"{manifest.id}: {counted_units(len(manifest.files), 'file')} of {_size(manifest.bytes)} as they were")
    if json:
        show_json({"verified": [_plain(manifest) for manifest in verified], "damaged": damaged})
    if damaged:
        raise typer.Exit(1)


def delete(
    location: Place,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Which one.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete a backup for good, with what no other one needs."""
    repository = _repository(location)
    repository.check_id(id_)
    if not yes and not typer.confirm(f"delete {id_} in {location} for good?"):
        raise typer.Exit(1)
    freed = repository.delete(id_)
    if json:
        show_json({"deleted": id_, "bytes": freed})
    else:
        say(f"deleted {id_}: {_size(freed)} that no other backup needs")


def restore(
    location: Place,
    home: Annotated[Path, typer.Option("--home", help="The home to be; empty, or not there.")],
    id_: Id = None,
    json: Json = False,
) -> None:
    """Put a home where there is none, from a backup; every file of it is verified first.

    What is there answers at once. Where stores were on servers, they are in the home now; flyball migrate moves them.
    """
    from flyball.backup import restore_home

    repository = _repository(location)
    manifest = repository.backup(id_)
    with progress_line(json) as progress:
        restore_home(repository, manifest, home, progress, SystemClock().now_us())
    if json:
        show_json({**_plain(manifest), "restored": str(home)})
    else:
        say(f"{manifest.id} is in {home}: {counted(manifest.records)}")
        say(f"use it: flyball up APP --home {home}")
        warn(
            f"flyball: it is as of {format_second(manifest.at_us)}: people who were erased after that are in it again. "
            f"Erase them again before it answers: flyball erase APP ENTITY ID --home {home}"
        )


def _repository(location: str) -> "BackupRepository":
    from tempfile import gettempdir

    from flyball.backup import open_repository

    os.umask(PRIVATE)
    return open_repository(location, Path(gettempdir()))  # backups are read without a cache


def _plain(manifest: "BackupManifest") -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(manifest)
    return {**plain, "files": len(manifest.files), "bytes": manifest.bytes}


def _size(size: int) -> str:
    """A number of bytes in words.

    >>> _size(999), _size(48_300_000)
    ('999 B', '48.3 MB')
    """
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
