"""What a runner tells whoever watches it; a service turns it into metrics."""


class Meter:
    """Counts nothing; subclasses do. Safe from any thread."""

    def frame(self, stage: str, failed: bool, seconds: float, latency: float) -> None:
        """A frame left `stage`.

        Args:
            stage: its name.
            failed: whether it could not be processed.
            seconds: that the stage spent on it.
            latency: seconds since its record was sent: that of the pixels where the stage reads
                them, otherwise that of the results.
        """

    def batch(self, stage: str, units: int) -> None:
        """A batch of `units` begins."""

    def repeats(self, stage: str, count: int) -> None:
        """Frames came again and were dropped."""

    def restart(self, stage: str) -> None:
        """A runner died and is replaced."""
