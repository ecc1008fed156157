"""What the registry needs of a database."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Database(Protocol):
    """A database at this Flyball's revision.

    `rows` runs a portable SELECT with `:name` parameters; `writing` is a transaction. Both raise `StoreUnavailable`
    when the database is locked for longer than its busy timeout, full or missing, and `StoreCorrupt` when it is
    damaged. `now_us_sql`: an expression of the database's time, in microseconds. `pause_limit_sql`: ends a transaction
    whose process says nothing for `{ms}` milliseconds, so that one which was paused keeps nobody waiting; "" where a
    server has no such limit. `close` closes connections that are not in use; the next use opens new ones.
    """

    now_us_sql: str
    pause_limit_sql: str

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]: ...

    def writing(self) -> AbstractContextManager["Connection"]: ...

    def close(self) -> None: ...
