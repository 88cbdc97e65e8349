"""Tasks while they run: what changes, and their frames' results as they are tracked."""
