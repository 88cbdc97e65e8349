"""`memory://`: the bus inside one process. Values pass by reference and nothing outlives it."""

from contanos.bus.memory.bus import MemoryBus

__all__ = ["MemoryBus"]
