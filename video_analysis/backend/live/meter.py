"""What live connections are counted by."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class LiveMeter:
    """Counts who watches and what they missed.

    Attributes:
        viewers: WebSockets and streams of events that are open, by `kind`.
        dropped: frames that viewers missed since they were too slow.
    """

    def __init__(self) -> None:
        self.viewers = Gauge(
            "contanos_live_viewers", "Live connections that are open.", ["kind"], registry=None
        )
        self.dropped = Counter(
            "contanos_live_dropped_frames",
            "Frames that viewers were not sent since they were too slow.",
            registry=None,
        )
        for kind in ("events", "frames"):
            self.viewers.labels(kind)

    def register(self, registry: CollectorRegistry) -> None:
        """Have them shown with what else the process counts."""
        registry.register(self.viewers)
        registry.register(self.dropped)
