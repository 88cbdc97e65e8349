"""What 10, 100 and 1000 cameras at once need: `python -m bench.sizing --streams 10 100 1000`.

`inputs` is what was measured and what is assumed, `paper` counts, `simulation` plays it through.
"""
