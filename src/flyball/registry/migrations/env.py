"""Run by Alembic: migrates in the connection and transaction that `migrate.upgrade` passes."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
