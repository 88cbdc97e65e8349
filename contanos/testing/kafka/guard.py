"""Ends a broker whose test run has died without a word."""

import subprocess


class Guard:
    """Kills a process as soon as this one is gone, even by SIGKILL.

    A shell waits for the end of a pipe which only this process holds open. Threads may come and go,
    unlike with a signal that Linux sends when a parent dies: it means the parent's thread.

    Args:
        pid: whom to end.
    """

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["sh", "-c", 'read -r word; test -n "$word" || kill -9 "$0"', str(pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Let the process be: it has ended."""
        self._shell.communicate(b"dismissed\n")
