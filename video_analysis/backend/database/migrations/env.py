"""Alembic wants this file; `migrate.py` does what it would."""
