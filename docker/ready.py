"""Exit status 0 where every service in this container is ready; compose's health check.

Which services these are is not asked for: they are those that listen on their usual ports.
"""

import sys
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from video_analysis.services import SERVICES

_SECONDS = 5.0  # that one answer may take


def main() -> str | None:
    """What is wrong, or None."""
    answers = {name: _answer(service.port) for name, service in SERVICES.items()}
    found = {name: answer for name, answer in answers.items() if answer is not None}
    if not found:
        return "no service listens here"
    return "; ".join(f"{name}: {why}" for name, why in found.items() if why) or None


def _answer(port: int) -> str | None:
    """Why the service on `port` is not ready; empty where it is, None where none listens."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=_SECONDS):
            return ""
    except HTTPError as e:
        with e:
            return e.read().decode(errors="replace")
    except URLError as e:
        return None if isinstance(e.reason, ConnectionRefusedError) else str(e.reason)
    except (OSError, HTTPException) as e:
        return str(e) or type(e).__name__


if __name__ == "__main__":
    sys.exit(main())
