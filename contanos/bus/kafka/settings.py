"""How the brokers are reached, and how long they are waited for."""

from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """What the operator decides.

    Attributes:
        security_protocol: whether connections are encrypted (`ssl`) and clients name themselves
            (`sasl`).
        ca: file of the certificates that brokers are trusted by; empty for the system's.
        certificate: file of the client's own certificate, for brokers that ask for one.
        key: file of its private key.
        key_password: of that file.
        sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
        username: for SASL.
        password: for SASL.
        patience: seconds that `send` waits for room in a full topic.
        endurance: seconds that a broker which fails or is away is tried again.
        session_timeout: seconds after which a silent member of a group has lost its partitions.
            The brokers' `group.min.session.timeout.ms` is its lower bound, 6 by default.
        replication: copies of each topic; -1 for the brokers' `default.replication.factor`.
    """

    security_protocol: Protocol = "plaintext"
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = field(default="", repr=False)
    sasl_mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    patience: float = 600.0
    endurance: float = 60.0
    session_timeout: float = 10.0
    replication: int = -1
