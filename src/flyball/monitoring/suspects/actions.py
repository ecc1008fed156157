"""What accounts did: their events in a period, as arrays, from the history of any application."""

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flyball.core import BadInput, Doubles, Ints
from flyball.events import Event, Profile, join_of
from flyball.features import number_column
from flyball.runtime import Runtime
from flyball.tasks import About, references

if TYPE_CHECKING:
    import polars as pl


class Actions(Struct, frozen=True, dict=True):
    """Events of accounts, one a row, ordered by account, then time. `accounts`, `targets`, `kinds`: names.

    `account`, `target`, `kind`: numbers of the names, shape (n,); the target is what the account acted on, -1 for
    nothing. `at_us`: microseconds since 1970. `value`: such as a rating, NaN for none.
    """

    accounts: list[str]
    targets: list[str]
    kinds: list[str]
    account: Ints
    target: Ints
    kind: Ints
    at_us: Ints
    value: Doubles

    @cached_property
    def counts(self) -> Ints:
        """The number of events of each account."""
        return np.bincount(self.account, minlength=len(self.accounts)).astype(np.int64)

    @cached_property
    def pairs(self) -> "Actions":
        """One row for each account and target: the first event, with the latest value."""
        named = np.flatnonzero(self.target >= 0)
        order = named[np.lexsort((self.at_us[named], self.target[named], self.account[named]))]
        account, target, value = self.account[order], self.target[order], self.value[order]
        begins = np.r_[True, (account[1:] != account[:-1]) | (target[1:] != target[:-1])][: len(order)]
        pair, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
        latest, valued = np.full(len(first), np.nan), ~np.isnan(value)
        latest[pair[valued]] = value[valued]  # of several rows the last one stays, which is the latest
        rows = order[first]
        return Actions(
            self.accounts,
            self.targets,
            self.kinds,
            account[first],
            target[first],
            self.kind[rows],
            self.at_us[rows],
            latest,
        )

    def only(self, accounts: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Actions":
        """The rows of these accounts, shape (accounts,); accounts and targets keep their numbers."""
        rows = np.flatnonzero(accounts[self.account])
        return replace(
            self,
            account=self.account[rows],
            target=self.target[rows],
            kind=self.kind[rows],
            at_us=self.at_us[rows],
            value=self.value[rows],
        )

    @cached_property
    def pair_counts(self) -> Ints:
        """The number of different targets of each account."""
        return np.bincount(self.pairs.account, minlength=len(self.accounts)).astype(np.int64)

    @cached_property
    def popularity(self) -> Ints:
        """The number of accounts that acted on each target."""
        return np.bincount(self.pairs.target, minlength=len(self.targets)).astype(np.int64)


def account_entity(about: About, declared: str | None = None) -> str:
    """The entity whose members are the accounts: the declared one, else what evaluations count, else the first."""
    names = [entity.name for entity in about.entities]
    if declared is not None:
        if declared not in names:
            raise BadInput("entity of the accounts", f"one of the task ({', '.join(names)})", declared)
        return declared
    if not names:
        raise BadInput(
            "task whose accounts are looked at", "one with entities", "none: declare fb.Entity in its features"
        )
    return about.unit if about.unit in names else names[0]


def read_actions(runtime: Runtime, entity: str, since_us: int, until_us: int, without: Collection[str] = ()) -> Actions:
    """The events in `[since, until)` that name a member of `entity`, but profiles, joined types and these accounts."""
    import polars as pl

    about, parts = runtime.app.task.about, list[pl.DataFrame]()
    others = [other.name for other in about.entities if other.name != entity]
    for name, declared in runtime.schema.types.items():
        fields = _fields(declared.cls, entity, others)
        if fields is None:
            continue
        frame = runtime.history.events(name, since_us, until_us=until_us)
        if not frame.is_empty():
            parts.append(_rows(frame, name, fields, _value(about, declared.cls, frame)))
    rows = pl.concat(parts) if parts else _nothing()
    return actions_of(rows.filter(~pl.col("account").is_in(list(without))))


def actions_of(rows: "pl.DataFrame") -> Actions:
    """The rows of a frame with `account`, `target` (text, null for none), `kind`, `at` and `value`."""
    import polars as pl

    rows = rows.filter(pl.col("account").is_not_null()).sort("account", "at", "target", "kind", maintain_order=True)
    account, accounts = _numbered(rows["account"])
    target, targets = _numbered(rows["target"])
    kind, kinds = _numbered(rows["kind"])
    value = rows["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return Actions(accounts, targets, kinds, account, target, kind, rows["at"].cast(pl.Int64).to_numpy(), value)


def _nothing() -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(
        schema={"account": pl.String, "target": pl.String, "kind": pl.String, "at": pl.Int64, "value": pl.Float64}
    )


def _fields(event: type[Event], entity: str, others: list[str]) -> tuple[str, str | None] | None:
    """(the field of the account, that of the target) of an event type; None for one that names no account."""
    if issubclass(event, Profile) or join_of(event) is not None:
        return None
    field_of = {named: field for field, named in reversed(references(event).items())}
    if entity not in field_of:
        return None
    return field_of[entity], next((field_of[other] for other in others if other in field_of), None)


def _rows(frame: "pl.DataFrame", name: str, fields: tuple[str, str | None], value: Doubles) -> "pl.DataFrame":
    import polars as pl

    account, target = fields
    return frame.select(
        pl.col(account).cast(pl.String).alias("account"),
        (pl.lit(None, pl.String) if target is None else pl.col(target).cast(pl.String)).alias("target"),
        pl.lit(name).alias("kind"),
        pl.col("at").cast(pl.Int64),
        pl.Series("value", value),
    )


def _value(about: About, event: type[Event], frame: "pl.DataFrame") -> Doubles:
    """The number that a label of the task reads from the events, NaN for none."""
    for label in about.labels:
        if label.event is event and label.value is not None:
            return number_column(label.value, frame).fill_null(float("nan")).to_numpy()
    return np.full(frame.height, np.nan)


def _numbered(names: "pl.Series") -> tuple[Ints, list[str]]:
    """(the number of each name, -1 for null; the names in the order of their text)."""
    import polars as pl

    known = names.drop_nulls().unique().sort()
    numbers = pl.DataFrame({"name": known, "number": np.arange(len(known), dtype=np.int64)})
    joined = pl.DataFrame({"name": names}).join(numbers, on="name", how="left", maintain_order="left")
    return joined["number"].fill_null(-1).to_numpy().astype(np.int64), known.to_list()
