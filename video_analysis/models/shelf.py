"""The models that a process has open: each once, whichever tasks use it."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence

from contanos.messages import FrameResult
from contanos.stage.contract import BatchStage, Item, Task
from video_analysis.results.metadata import ModelUsed

Opener = Callable[[ModelUsed], BatchStage]


class ByModel(BatchStage):
    """One stage whose tasks may use different models; each is opened when it is first needed.

    Args:
        default: sets the pace for batches; opened by `load`, or with the first task that needs it.
        which: the model of a task.
        open_model: loads it.
    """

    def __init__(
        self, default: ModelUsed, which: Callable[[Task], ModelUsed], open_model: Opener
    ) -> None:
        self._default = default
        self._which = which
        self._open = open_model
        self._lock = threading.Lock()
        self._stages: dict[ModelUsed, BatchStage] = {}

    @property
    def loaded(self) -> bool:
        """Whether the default model is there."""
        return self._key(self._default) in self._stages

    def load(self) -> None:
        """Open the default model.

        Raises:
            ModelError: it cannot be had.
            SettingError: it cannot run on this machine.
        """
        stage = self._stage(self._default)
        self.batch_size, self.linger = stage.batch_size, stage.linger

    def units(self, item: Item) -> int:
        return self._stage(self._which(item.task)).units(item)

    def process(self, items: Sequence[Item]) -> list[FrameResult]:
        shares: dict[ModelUsed, list[int]] = defaultdict(list)
        for i, item in enumerate(items):
            shares[self._which(item.task)].append(i)
        found: dict[int, FrameResult] = {}
        for used, numbers in shares.items():
            answers = self._stage(used).process([items[i] for i in numbers])
            found.update(zip(numbers, answers, strict=True))
        return [found[i] for i in range(len(items))]

    def _stage(self, used: ModelUsed) -> BatchStage:
        key = self._key(used)
        if (stage := self._stages.get(key)) is None:
            with self._lock:
                if (stage := self._stages.get(key)) is None:
                    stage = self._stages[key] = self._open(used)
        return stage

    @staticmethod
    def _key(used: ModelUsed) -> ModelUsed:
        """Why a model was chosen makes no difference to it."""
        return ModelUsed(
            name=used.name, sha256=used.sha256, runtime=used.runtime, precision=used.precision
        )
