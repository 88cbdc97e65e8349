"""`python -m video_analysis` is the command `contanos`."""

from video_analysis.cli import main

main()
