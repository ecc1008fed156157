"""Alembic's script directory: `env.py` runs migrations, `versions/` holds one file for each, never edited once
released."""
