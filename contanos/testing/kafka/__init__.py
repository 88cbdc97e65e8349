"""A real Apache Kafka on this machine, for development and for tests.

One node on 127.0.0.1, with all its files in one folder. `Broker` runs it from Python, and
`python -m contanos.testing.kafka start` in the background, for `make kafka`.
"""

from contanos.testing.kafka.broker import Broker

__all__ = ["Broker"]
