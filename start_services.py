"""Starts the services: all of them, or the one that is named. `--help` says how."""

try:
    from video_analysis.services.__main__ import main
except ModuleNotFoundError as e:
    raise SystemExit(f"{e}; run `make setup`, then .venv/bin/python start_services.py") from e

if __name__ == "__main__":
    main()
