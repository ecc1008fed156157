"""The migration of a home to another one, in steps of which each may be the last before the process is killed."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import MappingProxyType

import msgspec

from flyball.core import FileLock, Refused, Stopwatch, StoreUnavailable
from flyball.cutover import Copying
from flyball.events import EventLog, RestorableLog
from flyball.files import open_files
from flyball.migration.file_copy import MANIFESTS, FileCopy
from flyball.migration.home_files import copy_home_files
from flyball.migration.log_copy import LogCopy
from flyball.migration.parts import PartCopy, is_same_store
from flyball.migration.quarantine_copy import copy_quarantine
from flyball.migration.service import check_service, check_stores
from flyball.migration.targets import check_homes, check_outside, content_of, open_target_log
from flyball.operations import catch_up
from flyball.registry import Registry, mirror_registry, registry_digest, registry_rows
from flyball.runtime import Runtime
from flyball.settings import masked

LOGS = ("events", "predictions")
COPIED = (*LOGS, "quarantine", "registry", "history", "artifacts")
"""The parts that are copied. The others are rebuilt from the log: state, features, catalog, outcomes."""

REBUILT = ("catalog", "state", "features")
_FEW = 2_000
"""With how many records that have come meanwhile the switch begins."""
PAUSE_S = 30.0
"""How long writers may be kept out before the switch is given up."""


class MigrationReport(msgspec.Struct, frozen=True):
    """`behind`: how many records have come meanwhile. `pause_s`: how long writers were kept out; None for no switch."""

    source: str
    target: str
    parts: list[PartCopy]
    behind: int
    switched: bool
    pause_s: float | None = None


class Migration:
    """The copy of `source` into `target`. `on_step` is called with words after each step that may be the last."""

    def __init__(
        self,
        source: Runtime,
        target: Runtime,
        stopwatch: Stopwatch,
        on_step: Callable[[str], object] = lambda words: None,
    ) -> None:
        self._source, self._target, self._stopwatch, self._on_step = source, target, stopwatch, on_step
        self._began_s: float | None = None

    def run(self, switch: bool) -> MigrationReport:
        """Copy what the target lacks, compare it, and with `switch` make the target the home.

        Raises `Refused` for a target that holds something else, and where what was copied is not equal.
        """
        check_outside(self._source, self._target)
        check_homes(self._source, self._target)
        check_stores(self._source)
        if self._source.gate.moved() is not None:
            self._target.layout.copying.unlink(missing_ok=True)  # a run before this was killed behind the switch
            catch_up(self._target, self._on_step)
            return MigrationReport(str(self._source.home), str(self._target.home), [], 0, switched=True)
        with FileLock(self._target.layout.run / "migrate.lock", "flyball migrate"):
            self._claim()
            self._copy()
            return self._switch() if switch else self._report(None)

    def copy_at_once(self) -> MigrationReport:
        """Copy the home as it is at about one time, without a switch: what the registry names is among the files, and
        what files and views know is in the logs. Raises `Refused` as `run` does, and for a home that was moved."""
        check_homes(self._source, self._target)
        check_stores(self._source)
        if (moved := self._source.gate.moved()) is not None:
            raise Refused(f"the home to copy must be in use, got one that was moved to {moved.home}: copy that one")
        with FileLock(self._target.layout.run / "migrate.lock", "flyball migrate"):
            self._claim()
            self._copy()
            self._copy_files(
                {"history": "snapshots/"}
            )  # those of versions that came after the files and before the rows
            self._copy_logs(_FEW)
            catch_up(self._target, self._on_step)
            return self._report(None)

    @cached_property
    def _copied(self) -> list[str]:
        """The parts that lie in other stores than before."""
        urls = ((part, *self._urls(part)) for part in COPIED)
        return [part for part, url, other in urls if not is_same_store(url, other)]

    def _urls(self, part: str) -> tuple[str, str]:
        return getattr(self._source.settings, part), getattr(self._target.settings, part)

    def _claim(self) -> None:
        """Note each part that is to be copied or rebuilt, where it is empty; refuse others."""
        gate, back = self._target.gate, self._target.gate.moved()
        copying = gate.copying() or Copying(str(self._source.home))
        parts = [*self._copied, *(part for part in REBUILT if not is_same_store(*self._urls(part)))]
        for part in parts if back is None else ():
            if part not in copying.begun and (holds := content_of(part, self._target)):
                raise Refused(
                    f"{part} {masked(self._urls(part)[1])} must be empty to be copied to, got {holds}: name another "
                    f"store in {self._target.layout.settings}"
                )
            self._on_step(f"{part} is empty")
        gate.begin_copy(Copying(copying.home, tuple(sorted({*copying.begun, *parts}))))
        self._on_step("the copy has begun")

    def _copy(self) -> None:
        """Copy until little is left, with what is written meanwhile; compare it; bring the views up to it."""
        for log in self._logs:
            log.verify(lambda: self._on_step("comparing"))  # what an interrupted run, or the home before, has left
        self._copy_files()  # before the log, which the history must not be ahead of
        self._copy_logs(_FEW)
        self._copy_rows()
        catch_up(self._target, self._on_step)
        for log in self._logs:
            log.verify(lambda: self._on_step("comparing"))

    def _copy_logs(self, few: int = 0) -> None:
        """Copy until no more than `few` records were new."""
        for log in self._logs:
            while (moved := log.step()) > few:
                self._on_step(f"copying {log.name}: {log.copied:,} records")
                self._check_pause()
            if moved:
                self._on_step(f"copied {log.name}: {log.copied:,} records")

    def _copy_files(self, prefixes: Mapping[str, str] = MappingProxyType({})) -> None:
        for files in self._files:
            words = f"copying {files.name}"
            files.copy(partial(self._on_step, words), prefixes.get(files.name, ""))

    def _copy_rows(self) -> None:
        """What is small, and changes not only at its end."""
        copy_home_files(self._source, self._target)
        self._on_step("copied the files of the home")
        if "quarantine" in self._copied:
            self._quarantined = copy_quarantine(*self._urls("quarantine"))
            self._on_step("copied the quarantine")
        if "registry" in self._copied:
            mirror_registry(*self._registries)
            self._on_step("copied the registry")
        self._check_pause()

    def _switch(self) -> MigrationReport:
        check_service(self._source, self._target, self._stopwatch, self._on_step)
        with self._source.gate.closed(self._stopwatch, PAUSE_S):
            self._began_s = self._stopwatch.read_s()
            self._on_step("writers are kept out")
            self._copy_logs()
            self._copy_files({"history": "snapshots/"})
            self._copy_rows()
            report = self._report(self._stopwatch)
            self._check_pause()
            self._source.gate.move_to(self._target.layout, self._source.clock.now_us())
            pause_s = self._stopwatch.read_s() - self._began_s
        self._began_s = None
        self._on_step("switched")
        catch_up(self._target, self._on_step)
        return msgspec.structs.replace(report, switched=True, pause_s=pause_s)

    def _check_pause(self) -> None:
        if self._began_s is not None and self._stopwatch.read_s() - self._began_s > PAUSE_S:
            raise StoreUnavailable(
                f"the switch must take {PAUSE_S:g} s at most, got a longer one, which was given up: "
                f"{self._source.home} is in use as before; run the command again"
            )

    def _report(self, pause: Stopwatch | None) -> MigrationReport:
        behind = 0 if pause else sum(log.behind() for log in self._logs)
        parts = [
            *map(self._log_part, self._logs),
            *self._row_parts(pause is not None),
            *map(self._file_part, self._files),
        ]
        return MigrationReport(str(self._source.home), str(self._target.home), parts, behind, switched=False)

    def _log_part(self, log: LogCopy) -> PartCopy:
        count, digest = log.verify()
        return self._part(log.name, count, log.copied, "records" if log.name == "events" else "answers", digest)

    def _file_part(self, files: FileCopy) -> PartCopy:
        count, digest = files.result()
        return self._part(files.name, count, files.copied, "files", digest)

    def _row_parts(self, still: bool) -> list[PartCopy]:
        """The parts that are rows. They must be equal where nothing is written meanwhile (`still`)."""
        parts = []
        if "quarantine" in self._copied:
            count, digest = self._quarantined
            parts.append(self._part("quarantine", count, 0, "lines", digest))
        if "registry" in self._copied:
            own, copy = map(registry_rows, self._registries)
            if still and own != copy:
                raise Refused(
                    f"the registry {masked(self._urls('registry')[1])} must have the rows that were copied, got "
                    "others: something else writes to it; name another one"
                )
            parts.append(self._part("registry", sum(map(len, copy.values())), 0, "rows", registry_digest(copy)))
        return parts

    def _part(self, part: str, count: int, copied: int, unit: str, digest: str) -> PartCopy:
        source, target = map(masked, self._urls(part))
        return PartCopy(part, source, target, count, copied, unit, digest)

    @cached_property
    def _logs(self) -> list[LogCopy]:
        return [LogCopy(part, *self._opened(part)) for part in LOGS if part in self._copied]

    def _opened(self, part: str) -> tuple[EventLog, RestorableLog]:
        return open_target_log(part, *self._urls(part))

    @cached_property
    def _files(self) -> list[FileCopy]:
        """History and artifacts, as far as they are elsewhere."""
        copies = []
        for part, replaced in (("history", MANIFESTS), ("artifacts", ())):
            if part in self._copied:
                url, other = self._urls(part)
                files = open_files(part, url, self._source.layout.cache)
                copies.append(FileCopy(part, files, open_files(part, other, self._target.layout.cache), replaced))
        return copies

    @cached_property
    def _registries(self) -> tuple[Registry, Registry]:
        source, target = self._urls("registry")
        return Registry(source), Registry(target)
