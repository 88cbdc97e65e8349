"""`kafka://host:port[,host:port]/namespace`: the bus between processes, on Apache Kafka 4.

Read `bus.py` for the parts; the contract beside this package says what they add up to.
"""

from contanos.bus.kafka.bus import KafkaBus
from contanos.bus.kafka.settings import KafkaSettings

__all__ = ["KafkaBus", "KafkaSettings"]
