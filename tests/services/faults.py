"""What goes wrong and when: drawn from a seed, so that a run can be had again."""

import random
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal

from tests.services.installation import KINDS

What = Literal["kill", "two", "closing", "freeze", "broker"]

_PAUSE = (1.0, 4.0)  # seconds between two faults, at least and at most
_STUBBORN = ("annotation", "backend", "rtmpose", "bytetrack", "yolox")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        what: `kill`: a service dies. `two`: two at once. `closing`: the annotator dies while it
            closes a file. `freeze`: a service hangs until another has its work, comes back, and one
            of both dies. `broker`: it ends and comes back.
        kinds: the services concerned.
        pause: seconds before it.
        chance: from 0 to 1, for what else is left to chance.
    """

    what: What
    kinds: tuple[str, ...]
    pause: float
    chance: float

    @property
    def kills(self) -> int:
        """How many services die of it."""
        return len(self.kinds)

    def __str__(self) -> str:
        return f"{self.what} {' '.join(self.kinds)}".strip()


def schedule(kills: int, seed: int) -> list[Fault]:
    """Faults of all sorts, by which `kills` services of every kind die."""
    chance = random.Random(seed)
    pairs = kills // 7
    closings = freezes = max(3, kills // 8)
    singles = kills - 2 * pairs - closings - freezes
    dying = islice(cycle(KINDS), singles)
    plan: list[tuple[What, tuple[str, ...]]] = [("kill", (each,)) for each in dying]
    plan += [("two", tuple(chance.sample(KINDS, 2))) for _ in range(pairs)]
    plan += [("closing", ("annotation",))] * closings
    plan += [("freeze", (each,)) for each in islice(cycle(_STUBBORN), freezes)]
    plan += [("broker", ())] * max(2, kills // 20)
    chance.shuffle(plan)
    return [Fault(what, kinds, chance.uniform(*_PAUSE), chance.random()) for what, kinds in plan]
