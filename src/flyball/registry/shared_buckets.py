"""Token buckets that several machines take from, by the database's clock.

A bucket is the time at which it will be full again. Machines add what they admitted after they did, so that no request
waits for the database: what they admitted together beyond the burst is a debt, which is paid before more is admitted.
"""

from collections.abc import Sequence

from flyball.registry.store import Registry

_FORGET_NS = 3_600 * 1_000_000_000


def add_to_buckets(registry: Registry, uses: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """{name: in how many ns the bucket will be full}, after these (name, cost in ns, for how many ns) were taken.

    Buckets that have been full for an hour are forgotten.
    """
    import sqlalchemy as sa

    from flyball.registry.tables import shared_buckets as table

    with registry.database.writing() as connection:
        now_us = connection.exec_driver_sql(f"SELECT {registry.database.now_us_sql}").scalar_one()
        now_ns = int(now_us) * 1_000
        names = [name for name, _, _ in uses]
        rows = connection.execute(sa.select(table.c.name, table.c.full_ns).where(table.c.name.in_(names)))
        known = {row.name: row.full_ns for row in rows}
        full = {name: max(known.get(name, 0), now_ns - age_ns) + cost_ns for name, cost_ns, age_ns in uses}
        connection.execute(table.delete().where(sa.or_(table.c.name.in_(names), table.c.full_ns < now_ns - _FORGET_NS)))
        if full:
            connection.execute(table.insert(), [{"name": name, "full_ns": at_ns} for name, at_ns in full.items()])
    return {name: max(0, at_ns - now_ns) for name, at_ns in full.items()}
