"""Encrypted connections and clients that name themselves, on real Apache Kafka."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from contanos.bus import TopicPartition, TopicSpec, open_bus
from contanos.bus.kafka import KafkaSettings
from contanos.errors import BusError
from contanos.testing.kafka import Broker
from contanos.testing.kafka.ports import free_ports
from tests.contract.bus_contract import fill

STORE_PASSWORD = "of-the-key-store"
PLAIN, SCRAM = ("alice", "alices-secret"), ("bob", "bobs-secret")

# The plain listener stays, for the broker itself and for making users.
LISTENER = """
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port,SAFE://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:$port,SAFE://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SAFE:SASL_SSL
listener.name.safe.ssl.keystore.type=PKCS12
listener.name.safe.ssl.keystore.location={store}
listener.name.safe.ssl.keystore.password={password}
listener.name.safe.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.safe.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
  required user_{user}="{secret}";
listener.name.safe.scram-sha-512.sasl.jaas.config=\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@dataclass(frozen=True)
class Safe:
    """A broker's encrypted listener.

    Attributes:
        url: of it.
        settings: that let a client in, by PLAIN.
    """

    url: str
    settings: KafkaSettings


@pytest.fixture(scope="module")
def safe(kafka_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Safe]:
    folder = tmp_path_factory.mktemp("safe")
    store, certificate = _identity(folder)
    (port,) = free_ports(1)
    settings = LISTENER.format(
        port=port, store=store, password=STORE_PASSWORD, user=PLAIN[0], secret=PLAIN[1]
    )
    with Broker(folder / "broker", settings=settings) as broker:
        _make_user(broker.address, *SCRAM)
        yield Safe(
            f"kafka://127.0.0.1:{port}/safe",
            KafkaSettings(
                security_protocol="sasl_ssl",
                ca=str(certificate),
                sasl_mechanism="PLAIN",
                username=PLAIN[0],
                password=PLAIN[1],
                endurance=5.0,
            ),
        )


def _identity(folder: Path) -> tuple[Path, Path]:
    """A key store for a broker on 127.0.0.1, and the certificate that clients trust it by."""
    store, certificate = folder / "broker.p12", folder / "broker.pem"
    known = ["-keystore", store, "-storetype", "PKCS12", "-storepass", STORE_PASSWORD]
    named = ["-alias", "broker", "-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1"]
    made = ["-genkeypair", "-keyalg", "EC", "-validity", "2", *named, *known]
    shown = ["-exportcert", "-rfc", "-alias", "broker", "-file", certificate, *known]
    for arguments in (made, shown):
        subprocess.run(["keytool", *arguments], check=True, capture_output=True)
    return store, certificate


def _make_user(address: str, name: str, password: str) -> None:
    information = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    user = UserScramCredentialUpsertion(name, information, password.encode())
    with AdminClient({"bootstrap.servers": address}) as client:
        for done in client.alter_user_scram_credentials([user]).values():
            done.result(30)


@pytest.mark.parametrize(
    ("mechanism", "user"), [("PLAIN", PLAIN), ("SCRAM-SHA-512", SCRAM)], ids=["plain", "scram"]
)
def test_who_names_itself_sends_and_reads_over_tls(
    safe: Safe, mechanism: str, user: tuple[str, str]
) -> None:
    name, password = user
    settings = replace(safe.settings, sasl_mechanism=mechanism, username=name, password=password)
    topic = f"raw_frames_{name}"
    bus = open_bus(safe.url, settings)
    try:
        bus.create_topic(topic, TopicSpec())
        fill(bus, topic, 3)
        assert bus.end_offset(TopicPartition(topic, 0)) == 3
    finally:
        bus.close()


def test_a_wrong_password_is_said(safe: Safe) -> None:
    bus = open_bus(safe.url, replace(safe.settings, password="guessed"))
    with pytest.raises(BusError, match=r"(?i)authentication"):
        bus.ready()
    bus.close()


def test_a_broker_that_nobody_vouches_for_is_not_trusted(safe: Safe) -> None:
    bus = open_bus(safe.url, replace(safe.settings, ca=""))
    with pytest.raises(BusError, match=r"(?i)certificate"):
        bus.ready()
    bus.close()


def test_a_client_that_does_not_encrypt_is_not_let_in(safe: Safe) -> None:
    bus = open_bus(safe.url, KafkaSettings(endurance=5.0))
    with pytest.raises(BusError, match="no broker answers"):
        bus.ready()
    bus.close()
