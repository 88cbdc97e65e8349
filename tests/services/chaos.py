"""`python -m tests.services.chaos --kills 100`: services die while they work, and nothing is lost.

Prints what was done when, and what came of it. Exit status: 0 if every result was the undisturbed
one. The same seed draws the same faults.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from contanos.bus import open_bus
from contanos.models.fetch import fetch
from contanos.service.logs import log_to_stderr
from contanos.testing.kafka import Broker
from tests.services.faults import schedule
from tests.services.havoc import Havoc
from tests.services.installation import Installation
from tests.services.members import fresh_namespace
from tests.services.rounds import Rounds, Video
from video_analysis.models import manifest

_LAST_ROUND_SECONDS = 300.0


@dataclass
class Report:
    """What came of it.

    Attributes:
        seed: of the schedule.
        killed: services that died, by kind.
        faults: what was done, by sort.
        uncommitted: times that the annotator died between a segment and its commit.
        rounds: of all tasks, each with the undisturbed result.
        seconds: in all.
        diary: what was done when.
    """

    seed: int
    killed: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    uncommitted: int = 0
    rounds: int = 0
    seconds: float = 0.0
    diary: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.killed.items()))
        faults = ", ".join(f"{what} {count}" for what, count in sorted(self.faults.items()))
        return (
            f"seed {self.seed}: {self.killed.total()} kills ({kinds}); faults: {faults}; "
            f"{self.uncommitted} between a segment and its commit\n"
            f"{self.rounds} rounds, every result the undisturbed one, all frames in = out, "
            f"{self.seconds:.0f} s"
        )


def chaos(broker: Broker, folder: Path, videos: dict[str, Video], kills: int, seed: int) -> Report:
    """Run tasks, and kill what works on them.

    Args:
        broker: runs; is stopped and started.
        folder: for logs and results.
        videos: by task id.
        kills: how many services die, at least.
        seed: decides what happens.

    Raises:
        AssertionError: a result is not the undisturbed one, or a service ended by itself.
    """
    report, faults, began = Report(seed), schedule(kills, seed), time.monotonic()
    url = fresh_namespace(broker.url)
    rounds = Rounds(url, folder / "out", videos)
    with Installation(url, folder / "logs") as installation:
        bus = open_bus(url)
        havoc = Havoc(installation, broker, rounds, bus)
        rounds.start()
        havoc.note(f"seed {seed}")
        havoc.wreak(faults)
        rounds.finish(_LAST_ROUND_SECONDS)
        havoc.note("the last round is over")
        installation.await_ready(*installation.services)
        installation.stop()
        bus.close()
    report.killed, report.diary, report.uncommitted = havoc.killed, havoc.diary, havoc.uncommitted
    report.faults = Counter(each.what for each in faults)
    report.rounds, report.seconds = rounds.done, time.monotonic() - began
    return report


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="services that die, at least")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides what happens")
    parser.add_argument("--folder", type=Path, help="for logs and results; kept")
    given = parser.parse_args()
    log_to_stderr("error")
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as made:
        folder = given.folder or Path(made)
        videos = {
            "demo": Video(fetch(manifest()["demo"]), 230),
            "pets": Video(fetch(manifest()["vtest"]), 200),
        }
        with Broker(folder / "broker") as broker:
            print(chaos(broker, folder, videos, given.kills, given.seed))
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
