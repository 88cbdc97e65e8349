"""How a process learns that it is to stop: a signal, or the death of who started it."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """The wish that this process ends. Safe from any thread and from signal handlers.

    A queue carries it because an event may not be set from a handler: the handler could interrupt
    the very thread that holds the event's lock.
    """

    def __init__(self) -> None:
        self._wishes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(self, why: str) -> None:
        """Ask for the end."""
        self._wishes.put(why)

    def wait(self, timeout: float) -> str | None:
        """Why somebody asked for the end, or None after `timeout` seconds."""
        try:
            return self._wishes.get(timeout=timeout)
        except queue.Empty:
            return None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for the end. For the main thread."""

        def handler(number: int, _: FrameType | None) -> None:
            self.ask(signal.Signals(number).name)

        before = {each: signal.signal(each, handler) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, old in before.items():
                signal.signal(each, old)

    def with_parent(self, patience: float) -> None:
        """Standard input is a pipe that our parent holds: its end is the parent's, and ours.

        Args:
            patience: seconds after which this process ends whether or not it has stopped.
        """
        threading.Thread(target=self._outlive, args=(patience,), name="parent", daemon=True).start()

    def _outlive(self, patience: float) -> None:
        # Not through sys.stdin: a thread that waits in there blocks the interpreter's own end.
        while os.read(0, 4096):
            continue
        self.ask("the parent is gone")
        threading.Event().wait(patience)
        print("not stopped in time; leaving", file=sys.stderr, flush=True)
        os._exit(1)
