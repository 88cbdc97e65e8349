"""The database, which holds the truth about users, uploads and tasks."""
