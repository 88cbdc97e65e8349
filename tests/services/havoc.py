"""Does to an installation what a schedule says, and keeps a diary."""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from contanos.bus import Bus, TopicPartition
from contanos.bus.topics import topic_name
from contanos.stage.mark import from_note
from contanos.testing.kafka import Broker
from contanos.video.segments import FRAMES_PER_SEGMENT
from tests.services.faults import Fault
from tests.services.installation import SESSION_SECONDS, Installation, Service
from tests.services.rounds import Rounds
from video_analysis.pipeline import graph
from video_analysis.workspace import VIDEO, WORK

_SEGMENT = f"{WORK}/segments/segment-*.nut"  # whole, and its offsets not committed yet
_CLOSINGS = (_SEGMENT, f".{VIDEO}*.partial", _SEGMENT, f"{WORK}/segments/.segment-*.partial")
_CLOSING_SECONDS = 30.0
_GROUP = next(each.group for each in graph("pose_first").nodes if each.stage == "annotation")
_ASLEEP = 0.15
_LOOK = 0.0005  # seconds between looks for a file


class Havoc:
    """Carries out faults.

    Args:
        installation: suffers them.
        broker: likewise.
        rounds: of tasks, to be disturbed.
        bus: the one that all of them talk over.

    Attributes:
        killed: services that died, by kind.
        uncommitted: times that the annotator died between a segment and its commit.
        diary: what was done when.
    """

    def __init__(
        self, installation: Installation, broker: Broker, rounds: Rounds, bus: Bus
    ) -> None:
        self.killed: Counter[str] = Counter()
        self.uncommitted = 0
        self.diary: list[str] = []
        self._installation = installation
        self._broker = broker
        self._rounds = rounds
        self._began = time.monotonic()
        self._bus = bus
        self._closings = 0
        self._do = {
            "kill": self._kill,
            "two": self._kill,
            "closing": self._close,
            "freeze": self._freeze,
            "broker": self._restart,
        }

    def wreak(self, faults: Iterable[Fault]) -> None:
        """One after the other."""
        for fault in faults:
            if fault.chance > _ASLEEP:  # the others strike some that have not started yet
                working = [each for kind in fault.kinds for each in self._installation.of(kind)]
                self._installation.await_ready(*working)
            time.sleep(fault.pause)
            self._rounds.check()
            self._installation.check()
            self.note(f"{fault}")
            self._do[fault.what](fault)

    def note(self, text: str) -> None:
        """Write into the diary."""
        line = f"{time.monotonic() - self._began:7.2f} s, round {self._rounds.done}: {text}"
        self.diary.append(line)
        print(line, flush=True)

    def _kill(self, fault: Fault) -> None:
        victims = [self._pick(self._installation.of(each), fault) for each in fault.kinds]
        for victim in victims:
            self._end(victim)
        for victim in victims:
            self._installation.start(victim.kind)

    def _close(self, fault: Fault) -> None:
        pattern = _CLOSINGS[self._closings % len(_CLOSINGS)]
        self._closings += 1
        appeared = self._next_file(pattern)
        victims = self._installation.of("annotation")
        for victim in victims:
            self._end(victim)
        if appeared and appeared.suffix == ".nut":
            self.uncommitted += not self._is_committed(appeared)
        for _ in victims:
            self._installation.start("annotation")
        self.note(f"  {pattern}: {appeared.name if appeared else 'did not appear'}")

    def _freeze(self, fault: Fault) -> None:
        (kind,) = fault.kinds
        heir = self._installation.start(kind)
        self._installation.await_ready(heir)
        time.sleep(2 * fault.chance)
        frozen = self._installation.of(kind)[0]
        frozen.freeze()
        self.note(f"  {frozen} hangs, {heir} is there")
        time.sleep(SESSION_SECONDS + 1 + 2 * fault.chance)
        frozen.thaw()
        self.note(f"  {frozen} is back")
        time.sleep(1 + 2 * fault.chance)
        self._installation.check()
        self._end(frozen if fault.chance < 0.5 else heir)

    def _restart(self, fault: Fault) -> None:
        with self._rounds.ordering:
            if fault.chance < 0.5:
                self._broker.stop()
            else:
                self._broker.kill()
            time.sleep(2 * fault.chance)
            self._broker.start()
        self.note("  the broker is back")

    def _is_committed(self, segment: Path) -> bool:
        """Whether the frames of a segment that is there were committed too."""
        task_id, number = segment.parents[2].name, int(segment.stem.partition("-")[2])
        source = TopicPartition(topic_name("bytetrack", task_id), 0)
        done = from_note(self._bus.committed(_GROUP, source).note).done
        return done >= (number + 1) * FRAMES_PER_SEGMENT

    def _end(self, victim: Service) -> None:
        self._installation.kill(victim)
        self.killed[victim.kind] += 1
        self.note(f"  {victim} is killed")

    def _pick(self, of: list[Service], fault: Fault) -> Service:
        return of[int(fault.chance * len(of))]

    def _next_file(self, pattern: str) -> Path | None:
        """The next file to appear in the outputs of a task."""
        seen, deadline = self._files(pattern), time.monotonic() + _CLOSING_SECONDS
        while time.monotonic() < deadline:
            now = self._files(pattern)
            if new := now - seen:
                return new.pop()
            seen = now
            time.sleep(_LOOK)
        return None

    def _files(self, pattern: str) -> set[Path]:
        return {each for folder in self._rounds.outputs for each in folder.glob(pattern)}
