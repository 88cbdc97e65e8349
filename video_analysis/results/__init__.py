"""A task's result: stored once as Parquet, exported from there."""
