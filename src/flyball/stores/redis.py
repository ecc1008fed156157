"""The online store for several machines: a Redis server with one writing process and any number of readers.

Values and offsets are fields of one hash, so one HMGET reads them consistently and one MULTI replaces them; a sorted
set in the same hash slot holds the keys in order. Source: https://redis.io/docs/latest/commands/ (HMGET, ZRANGE BYLEX),
/develop/interact/transactions.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from flyball.core import BadSetting, LeaseLost, MissingExtra, StoreUnavailable, Url
from flyball.events import Offsets

try:
    import redis
except ImportError:
    raise MissingExtra("redis://", "redis") from None

Result = TypeVar("Result")

_OFFSETS = b"o"
_VALUE = b"v"
_TOKEN, _TOKEN_OF_WHOLE = b"t", b"tw"
_FORMER_TOKEN, _NONE_SO_HIGH = b"t", 1 << 62
"""Releases in which one worker applied the whole log compare their token with this field: once a worker of this one has
claimed the store, no token of theirs is high enough, whoever holds their lease."""
_TRIES, _SHARED_TRIES = 5, 50
_TIMEOUT_MS = 5_000
_OPTIONS = ("name", "timeout_ms", "password_file")
_AT_ONCE = 1_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, ...]).decode

# A script is atomic; Lua unpacks a few thousand arguments at most, so values are read in chunks.
_SCAN = """
local keys = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])
local values = {}
for first = 1, #keys, 1000 do
    local fields = {}
    for index = first, math.min(first + 999, #keys) do fields[#fields + 1] = 'v' .. keys[index] end
    for _, value in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do values[#values + 1] = value end
end
return {keys, values}
"""


class RedisStore:
    """`redis://host:port/0?name=flyball&timeout_ms=5000`: everything lies under `{name}` in that database.

    The user stands in the URL, and the password there or in a file (`redis://user@host:port/0?password_file=...`).
    Connections open on first use.
    """

    def __init__(self, url: Url) -> None:
        host = url.address
        if not host or host.startswith("/"):
            raise BadSetting("redis:// must name a server, such as redis://127.0.0.1:6379/0, got none")
        url.check_options(_OPTIONS)
        name = url.options.get("name", "flyball")
        if not name or set(name) & set("{}"):
            raise BadSetting(f"option name of redis:// must be text without braces, got {name!r}")
        self._host = host
        self._values, self._keys = f"{{{name}}}:values".encode(), f"{{{name}}}:keys".encode()
        self._token, self._of_partitions = 0, dict[int, int]()
        timeout_s = url.integer("timeout_ms", _TIMEOUT_MS) / 1_000
        try:
            self._client: Any = redis.Redis.from_url(
                f"redis://{host}",
                username=url.user or None,
                password=url.read_password() or None,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
            )
        except ValueError as error:
            raise BadSetting(f"redis:// must be followed by host:port/number, got {host!r}: {error}") from None

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        fields = [_VALUE + key for key in keys]
        *values, offsets = self._run(lambda client: client.hmget(self._values, [*fields, _OFFSETS]))
        return values, () if offsets is None else _decode(offsets)

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        def work(client: Any) -> None:
            with client.pipeline(transaction=True) as commands:
                self._begin(commands)
                self._put(commands, changes, offsets)
                commands.execute()

        self._run(work)

    def update(
        self,
        work: Callable[[], tuple[Mapping[bytes, bytes | None], Offsets] | None],
        partitions: Collection[int] | None = None,
    ) -> None:
        """See `SharedStore`: whatever others write meanwhile, a claim included, makes the transaction fail."""

        def attempt(client: Any) -> None:
            with client.pipeline(transaction=True) as commands:
                self._watch(commands, partitions)
                change = work()
                if change is not None:
                    commands.multi()
                    self._put(commands, *change)
                    commands.execute()

        self._run(attempt, _SHARED_TRIES)

    def claim(self, token: int, partition: int | None = None) -> None:
        """Write with the token of a lease from now on; see `Claimable`."""
        if partition is None:
            self._token = token
        else:
            self._of_partitions[partition] = token

        def work(client: Any) -> None:
            with client.pipeline(transaction=True) as commands:
                if partition is None:
                    self._begin(commands)
                else:
                    self._watch(commands, [partition])
                    commands.multi()
                tokens = {_token_field(partition): token, _FORMER_TOKEN: _NONE_SO_HIGH}
                commands.hset(self._values, mapping=tokens)
                commands.execute()

        self._run(work)

    def _begin(self, commands: Any) -> None:
        """Begin a transaction that is not carried out where somebody claimed the store with a higher token, also if
        that happens before it is. A writer without a lease has token 0: it may write where nobody ever claimed it."""
        self._watch(commands, None)
        commands.multi()

    def _watch(self, commands: Any, partitions: Collection[int] | None) -> None:
        """Let the transaction fail where anybody writes before it ends; raises `LeaseLost` for a token that is not the
        highest."""
        commands.watch(self._values)
        own = [(None, self._token)] if partitions is None else [(p, self._of_partitions.get(p, 0)) for p in partitions]
        former, *stored = commands.hmget(self._values, [_FORMER_TOKEN, *(_token_field(part) for part, _ in own)])
        former = 0 if int(former or 0) == _NONE_SO_HIGH else former
        for (partition, token), latest in zip(own, stored, strict=True):
            latest = latest or (former if not token else 0)
            if int(latest or 0) > token:
                what = "" if partition is None else f"partition {partition} in "
                raise LeaseLost(f"of {what}state store redis://{self._host}", token, str(int(latest)))

    def _put(self, commands: Any, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        new_values = {key: value for key, value in changes.items() if value is not None}
        deleted_keys = [key for key, value in changes.items() if value is None]
        for some in _pieces(list(new_values)):
            commands.zadd(self._keys, dict.fromkeys(some, 0))
            commands.hset(self._values, mapping={_VALUE + key: new_values[key] for key in some})
        for some in _pieces(deleted_keys):
            commands.zrem(self._keys, *some)
            commands.hdel(self._values, *[_VALUE + key for key in some])
        commands.hset(self._values, _OFFSETS, _encode(tuple(offsets)))

    def offsets(self) -> Offsets:
        return self.read(())[1]

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        after = _after(prefix)
        first, last = b"[" + prefix if prefix else b"-", b"+" if after is None else b"(" + after
        keys, values = self._run(
            lambda client: client.eval(_SCAN, 2, self._values, self._keys, first, last, -1 if limit is None else limit)
        )
        return iter(list(zip(keys, values, strict=True)))

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._client.close()
        self._client.connection_pool.disconnect()

    def _run(self, work: Callable[[Any], Result], tries: int = _TRIES) -> Result:
        for _ in range(tries):
            try:
                return work(self._client)
            except redis.exceptions.WatchError:  # another writer: whose token is higher?
                continue
            except redis.exceptions.RedisError as error:
                raise StoreUnavailable(f"state store redis://{self._host} must answer: {error}") from error
        raise StoreUnavailable(
            f"state store redis://{self._host} must be free to write: others wrote {tries} times before"
        )


def _token_field(partition: int | None) -> bytes:
    """The field of the token of the whole store, or of one partition of the log."""
    return _TOKEN_OF_WHOLE if partition is None else _TOKEN + b"%d" % partition


def _pieces(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))


def _after(prefix: bytes) -> bytes | None:
    """The least key above all that start with `prefix`; None where there is none."""
    short = prefix.rstrip(b"\xff")
    return short[:-1] + bytes([short[-1] + 1]) if short else None
