"""Alembic's script directory: `env.py` runs it, `versions/` holds one file per step, never edited once released."""
