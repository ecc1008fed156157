"""The log worker of a release in which one worker applied the whole log, as a program for tests of an update.

It knows one lease for state and features and one for the history, and compares its token with one field of the store.
"""

from typing import Any

from flyball.operations import leadership
from flyball.operations.child import main
from flyball.stores import redis, store

FIELD = b"t"


class FormerStore(redis.RedisStore):
    """Writes with one token for the whole store."""

    def claim(self, token: int, partition: int | None = None) -> None:
        self._token = token

        def work(client: Any) -> None:
            with client.pipeline(transaction=True) as commands:
                self._begin(commands)
                commands.hset(self._values, FIELD, token)
                commands.execute()

        self._run(work)

    def _watch(self, commands: Any, partitions: Any) -> None:
        commands.watch(self._values)
        latest = int(commands.hget(self._values, FIELD) or 0)
        if latest > self._token:
            raise redis.LeaseLost("of state store", self._token, str(latest))


if __name__ == "__main__":
    leadership.CONSUMER_SETS |= {
        leadership.PARTITIONS: (),
        leadership.ONLINE: ("state", "state_rebuild", "features"),
        "history": ("history", "prediction_history"),
    }
    store.STATE_BACKENDS["redis"] = "former_worker:FormerStore"
    main()
