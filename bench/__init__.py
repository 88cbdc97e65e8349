"""Measurements: accuracy, tracking, speed. Run them with `python -m bench.NAME`."""
