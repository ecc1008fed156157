"""Run by Alembic: migrates over the connection (and in the transaction) that `migrate.upgrade` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
