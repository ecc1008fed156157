"""Who was erased, for the other machines: digests, and the key of these, see `flyball.events.erased`."""

from flyball.events import ErasedDigests
from flyball.registry.store import Registry


def share_erased(registry: Registry, digests: ErasedDigests) -> None:
    """Let all machines of the registry know these; of a person who was erased twice the later time holds."""
    from flyball.registry.tables import erased_people as table

    known = erased_digests(registry)
    with registry.database.writing() as connection:
        for key, people in digests.items():
            for digest, at_us in people.items():
                before = known.get(key, {}).get(digest)
                if before is None:
                    connection.execute(table.insert().values(digest=digest, digest_key=key.hex(), at_us=at_us))
                elif before < at_us:
                    connection.execute(table.update().where(table.c.digest == digest).values(at_us=at_us))


def erased_state(registry: Registry) -> tuple[int, int]:
    """How many there are and the latest time: what changes whenever somebody is erased."""
    (row,) = registry.database.rows("SELECT COUNT(*) AS known, COALESCE(MAX(at_us), 0) AS latest_us FROM erased_people")
    return row["known"], row["latest_us"]


def erased_digests(registry: Registry) -> dict[bytes, dict[str, int]]:
    """All that any machine has erased."""
    digests: dict[bytes, dict[str, int]] = {}
    for row in registry.database.rows("SELECT digest, digest_key, at_us FROM erased_people ORDER BY digest"):
        digests.setdefault(bytes.fromhex(row["digest_key"]), {})[row["digest"]] = row["at_us"]
    return digests
