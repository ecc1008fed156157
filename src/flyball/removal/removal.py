"""The removal of records from a home, in steps of which each may be the last before the process is killed."""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from flyball.core import FileLock, HomeBusy, Refused, Stopwatch, counted_units, parse_url, write_atomic
from flyball.events import (
    ErasableLog,
    ErasableQuarantine,
    Offsets,
    Record,
    entity_columns,
    log_exists,
    open_log,
    open_quarantine,
    read_type,
)
from flyball.history import mark_snapshots, remove_rows, snapshots_with
from flyball.registry import AuditEntry, add_entry, share_erased
from flyball.removal.alone import alone
from flyball.removal.people import NamesPeople, answer_names, equal_ids, event_names, records_about
from flyball.removal.plan import RemovalPlan, begin_removal, discard_plan, plan_under_way, write_plan
from flyball.removal.quarantine import lines_about
from flyball.removal.registry import clean_registry
from flyball.removal.rows import RowReader
from flyball.removal.tables import clean_tables
from flyball.removal.texts import Redaction, clean_home_files
from flyball.removal.versions import SeenBy, remove_artifacts, versions_seen
from flyball.removal.views import ViewsBeside
from flyball.removal.words import longer_ids
from flyball.runtime import Runtime

_LOOKED_AT_S = 0.05
_RETENTION_S = 60.0
_RETENTION = "retention"
LOGS = ("events", "predictions")
_LINES = ("predictions", "quarantine")


class RemovalReport(msgspec.Struct, frozen=True):
    """What was removed, or would be, by a dry run. `removed`: {store: count}. `snapshots`: those that lack rows now.
    `unread`: files of the home that hold an id and could not be cleaned. `rows`: {file of the home: rows removed}.
    `versions`: those that had seen it. `steps`: of a dry run, {store: what would be done there}, in this order."""

    action: str
    subject: str
    removed: dict[str, int]
    snapshots: list[str] = []
    versions: SeenBy = SeenBy()
    dry_run: bool = False
    unread: list[str] = []
    rows: dict[str, int] = {}
    steps: dict[str, str] = {}

    @property
    def nothing_names(self) -> bool:
        """Whether an erasure has removed no record of anybody."""
        return self.action == "erase" and not any(self.removed.get(name) for name in ("events", *_LINES))


class Removal:
    """Carries out the plan of `begin_removal`. `on_step` is called with words after each step that may be the last."""

    def __init__(
        self, runtime: Runtime, stopwatch: Stopwatch, on_step: Callable[[str], object] = lambda words: None
    ) -> None:
        self._runtime, self._stopwatch, self._on_step = runtime, stopwatch, on_step
        self._known = set[
            str
        ]()  # ids of others in records that hold the bytes of an id, and longer ones that are known
        self._logs = {name: _erasable(name, getattr(runtime.settings, name)) for name in LOGS}

    def look(self, plan: RemovalPlan) -> RemovalReport:
        """What the plan would remove; changes nothing."""
        self._check_logs()
        matching, _ = self._find(plan, self._beginnings())
        plan = plan.with_found(matching)
        snapshots = snapshots_with(self._runtime.history_files, plan.events)
        seen = versions_seen(self._runtime, plan.people, snapshots)
        steps = self._steps(plan, snapshots, seen)
        return RemovalReport(plan.action, plan.subject, plan.counts, snapshots, seen, dry_run=True, steps=steps)

    def _steps(self, plan: RemovalPlan, snapshots: Sequence[str], seen: SeenBy) -> dict[str, str]:
        """What `begin` would do, by the store that it does it in."""
        counts, about = plan.counts, self._runtime.app.task.about
        steps = {"log workers": "stand aside until it is done; answers go on"}
        if plan.people:
            steps["late events"] = "of these people are refused, on all machines"
        for name, log in self._logs.items():
            words = f"{counted_units(counts[name], 'record')} removed, and the log written again without them"
            steps[name] = "there is none" if log is None else words
        lines = counted_units(counts["quarantine"], "line")
        steps["quarantine"] = f"{lines} removed, and the rest written again" if plan.quarantined else "stays as it is"
        steps["copy for backups"] = "deleted; the next backup makes another"
        rows = sum(counts[name] for name in LOGS)
        steps["history"] = (
            f"parts with some of these {counted_units(rows, 'record')} written again; "
            f"{counted_units(len(snapshots), 'snapshot')} marked as changed"
        )
        views = ["state", *(["features"] if about.feature_groups else []), "outcomes", "intervals", "exposures"]
        steps[", ".join((*views, "known entities"))] = "built again from the logs, and put in place of what serves"
        if plan.people:
            steps["registry"] = "the ids replaced in reasons, notes, messages and other words of people"
            steps["files of the home"] = "rows whose cell is an id removed, ids in logs and other texts masked"
            steps["artifacts"] = f"{counted_units(len(seen.removed), 'version')} out of service deleted that hold an id"
        steps["audit trail"] = "the removal noted, without a name"
        return steps

    def run(self) -> RemovalReport:
        """Remove what the plan says, build what is derived again, and note it in the audit trail without a name.

        Raises `Refused` without a plan.
        """
        with self._exclusive("a removal"):
            plan = plan_under_way(self._runtime.layout)
            if plan is None:
                raise Refused(
                    "a removal must have been begun to be completed, got none under way: nothing is left to do"
                )
            return self._complete(plan)

    def begin(self, plan: RemovalPlan) -> RemovalReport:
        """Note the plan and carry it out; one that was begun for the same is continued.

        Raises `HomeBusy` while a backup or another removal runs, and `Refused` while another one is not complete;
        nothing is removed then, and nothing is noted.
        """
        with self._exclusive(_RETENTION if plan.action == _RETENTION else "a removal"):
            begin_removal(self._runtime.layout, plan)
            return self._complete(plan_under_way(self._runtime.layout) or plan)

    @contextmanager
    def _exclusive(self, purpose: str) -> Iterator[None]:
        """The time in which no other removal and no backup runs on the home; a round of retention is waited for."""
        layout = self._runtime.layout
        locks = (layout.removal_lock, "the other removal"), (layout.run / "backup.lock", "the backup")
        with ExitStack() as stack:
            for path, other in locks:
                try:
                    stack.push(self._locked(path, purpose))
                except HomeBusy as error:
                    if error.holder.startswith(_RETENTION):
                        raise HomeBusy(
                            f"retention must have ended, got a round that flyball up or flyball retention runs "
                            f"({error.holder}); it ends by itself. Nothing was removed: "
                            "run the command again in a minute",
                            error.holder,
                        ) from None
                    message = f"{error}. Nothing was removed: run the command again when {other} is done"
                    raise HomeBusy(message, error.holder) from None
            yield

    def _locked(self, path: Path, purpose: str) -> FileLock:
        """The lock, taken; a look at it by another process is waited for, which lasts microseconds, and retention."""
        lock, deadline_s, tried = FileLock(path, purpose), self._stopwatch.read_s() + _RETENTION_S, False
        while True:
            try:
                return lock.__enter__()
            except HomeBusy as error:
                is_retention = error.holder.startswith(_RETENTION)
                if tried and not (is_retention and self._stopwatch.read_s() < deadline_s):
                    raise
                if is_retention and not tried:
                    self._on_step(f"waiting for {error.holder}, which removes what is older than declared")
            tried = True
            threading.Event().wait(_LOOKED_AT_S)

    def _complete(self, plan: RemovalPlan) -> RemovalReport:
        layout = self._runtime.layout
        try:
            with alone(self._runtime, self._stopwatch) as token:
                self._on_step("log workers stand aside")
                report = self._remove(plan, token)
        except BaseException:
            present = plan_under_way(layout)
            if present is not None and not present.begun:
                discard_plan(layout)  # nothing was removed, so workers need not wait for the next try
            raise
        discard_plan(layout)
        self._on_step("the plan is deleted")
        return report

    def _check_logs(self) -> None:
        """Raise `Refused` where records may not be removed from a log, before anything is."""
        for log in self._logs.values():
            if log is not None:
                log.check_removal()

    def _remove(self, plan: RemovalPlan, token: int) -> RemovalReport:
        if not plan.begun:
            self._check_logs()
        after, rounds = self._beginnings(), 0
        if plan.people:
            self._runtime.erased.add([(person.entity, person.id) for person in plan.people], plan.at_us)
            share_erased(self._runtime.registry, self._runtime.erased.own_digests)
            self._on_step("late events are refused")
        while True:
            matching, after = self._find(plan, after)
            if rounds and not any(matching.counts.values()):
                break
            plan = msgspec.structs.replace(plan.with_found(matching), begun=True)
            write_plan(self._runtime.layout, plan)
            self._on_step("it is known what is to be removed")
            plan = self._remove_found(plan, token)
            rounds += 1  # what was written meanwhile is looked through, too
        seen = versions_seen(self._runtime, plan.people, plan.snapshots)
        remove_artifacts(self._runtime, seen.removed, plan.by, f"{plan.action}: it held what is removed")
        self._on_step("artifacts looked through")
        report = RemovalReport(
            plan.action, plan.subject, plan.counts, list(plan.snapshots), seen, False, list(plan.unread), plan.rows
        )
        self._note(plan, report)
        write_atomic(self._runtime.layout.renewal, b"")
        return report

    def _remove_found(self, plan: RemovalPlan, token: int) -> RemovalPlan:
        for name, positions in (("events", plan.events), ("predictions", plan.predictions)):
            log = self._logs[name]
            if log is not None:
                log.remove(positions)
                self._on_step(f"removed from {name}")
                log.rewrite()
                self._on_step(f"{name} written again")
        self._remove_quarantined(plan)
        shutil.rmtree(self._runtime.layout.backup, ignore_errors=True)
        self._on_step("the copy for backups is deleted")
        accounts: dict[str, list[str]] = {}
        for person in plan.people:
            accounts.setdefault(person.entity, []).append(person.id)
        snapshots = {*plan.snapshots, *mark_snapshots(self._runtime.history_files, plan.events, accounts)}
        plan = msgspec.structs.replace(plan, snapshots=tuple(sorted(snapshots)))
        write_plan(self._runtime.layout, plan)
        self._on_step("snapshots marked")
        remove_rows(self._runtime.history_files, plan.events)
        self._on_step("history written again")
        remove_rows(self._runtime.prediction_history_files, plan.predictions)
        self._on_step("predictions in the history written again")
        views = ViewsBeside(self._runtime, self._on_step, token)
        views.build()
        views.swap()
        return self._clean_texts(plan) if plan.people else plan

    def _clean_texts(self, plan: RemovalPlan) -> RemovalPlan:
        """Take the ids out of the registry's documents and of the files of the home, logs and exports among them."""
        redaction = Redaction(plan.people, self._known)
        plan = plan.with_cleaned(registry=clean_registry(self._runtime.registry, redaction))
        write_plan(self._runtime.layout, plan)
        self._on_step("registry cleaned")
        tables = clean_tables(self._runtime.layout, redaction, RowReader(plan.people, self._columns))
        rows = {**plan.rows}
        for name, count in tables.rows.items():
            rows[name] = rows.get(name, 0) + count
            self._on_step(f"removed {counted_units(count, 'row')} of {name}")
        plan = msgspec.structs.replace(plan, rows=rows)
        write_plan(self._runtime.layout, plan)
        self._on_step("tables of the home cleaned")
        changed, unread = clean_home_files(self._runtime.layout, redaction, self._on_step)
        plan = plan.with_cleaned(files=len(tables.rows) + changed)
        plan = msgspec.structs.replace(plan, unread=tuple(sorted({*tables.unread, *unread})))
        write_plan(self._runtime.layout, plan)
        self._on_step("files of the home cleaned")
        return plan

    @property
    def _columns(self) -> dict[str, frozenset[str]]:
        """{column of an export: the entities that it names}."""
        columns = entity_columns(self._runtime.app.schema)
        about = self._runtime.app.task.about
        request = read_type(about.request)
        fields = [*request.refs, *request.list_refs]
        own = fields + [(f"request.{name}", entity) for name, entity in fields]
        own += [(name, about.items) for name in ("item", "items") if about.items]
        for name, entity in own:
            columns[name] = columns.get(name, frozenset()) | {entity}
        return columns

    def _remove_quarantined(self, plan: RemovalPlan) -> None:
        if not plan.quarantined:
            return
        quarantine = open_quarantine(self._runtime.settings.quarantine)
        try:
            quarantine.mark(plan.quarantined, "dropped")
            self._on_step("removed from quarantine")
            if isinstance(quarantine, ErasableQuarantine):
                quarantine.rewrite()
        finally:
            quarantine.close()
        self._on_step("quarantine written again")

    def _find(self, plan: RemovalPlan, after: Mapping[str, Offsets]) -> tuple[RemovalPlan, dict[str, Offsets]]:
        """A plan with the records behind `after` that name the people of the plan, and the ends of what was read."""
        matching = msgspec.structs.replace(plan, events={}, predictions={}, quarantined=(), cleaned={})
        ends = dict(after)
        if not plan.people:
            return matching, ends
        known = self._runtime.catalog.known()
        self._known |= longer_ids({id for person in plan.people for id in known.get(person.entity, ())}, plan.people)
        for name, log in self._logs.items():
            if log is not None:
                named = _until(self._names(name, log, plan), plan.at_us)
                positions, ends[name] = records_about(log, named, plan.people, after[name])
                matching = msgspec.structs.replace(matching, **{name: positions})
                self._on_step(f"looked through {name}")
        lines = lines_about(self._runtime.quarantine, RowReader(plan.people, self._columns), self._known)
        self._on_step("looked through quarantine")
        return msgspec.structs.replace(matching, quarantined=tuple(lines)), ends

    def _names(self, name: str, log: ErasableLog, plan: RemovalPlan) -> NamesPeople:
        app = self._runtime.app
        if name == "predictions":
            return answer_names(app.task.about, plan.people, self._known.add)
        return event_names(log.schemas.stored(), plan.people, app.schema.types, self._known.add)

    def _beginnings(self) -> dict[str, Offsets]:
        return {name: () if log is None else (0,) * len(log.ends()) for name, log in self._logs.items()}

    def _note(self, plan: RemovalPlan, report: RemovalReport) -> None:
        entry = AuditEntry(
            at_us=self._runtime.clock.now_us(),
            by=plan.by,
            action=plan.action,
            subject=plan.subject,
            reason=plan.reason,
            before={},
            after={
                "removed": report.removed,
                "people": len({(person.entity, equal_ids(person.id)[-1]) for person in plan.people}),
                "snapshots": report.snapshots,
                "holding": report.versions.holding,
            },
        )
        same = (entry.action, entry.subject)
        noted = (old for old in self._runtime.registry.audit() if (old.action, old.subject) == same)
        if not any(old.at_us >= plan.at_us for old in noted):  # a run that was killed may have noted it
            add_entry(self._runtime.registry, entry)
        self._on_step("noted in the audit trail")


def _erasable(name: str, url: str) -> ErasableLog | None:
    """The log at the URL; None where there is none. Raises `Refused` for one that records cannot be removed from."""
    if not log_exists(url):
        return None
    log = open_log(url)
    if not isinstance(log, ErasableLog):
        raise Refused(
            f"{name} must be in a log that single records can be removed from, got {parse_url(url).scheme}://, whose "
            "records stay until the topic is deleted: move the home to another log (flyball migrate), then remove"
        )
    return log


def _until(names: NamesPeople, at_us: int) -> NamesPeople:
    """Of records that happened, or became known, until `at_us`: who comes back after an erasure is somebody new."""

    def named(record: Record) -> bool:
        return min(record.at, record.known_at) <= at_us and names(record)

    return named
