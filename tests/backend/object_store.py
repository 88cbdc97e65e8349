"""An S3-compatible server for the session: moto's (Apache-2.0), a process of its own on HTTP.

It speaks S3's protocol, multipart uploads and byte ranges too, and keeps all in memory; it does not
check signatures.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import count

import pytest

from contanos.testing.kafka.ports import free_ports

_START_SECONDS = 60.0

_numbers = count()


@pytest.fixture(scope="session")
def object_server() -> Iterator[str]:
    """The URL of a server."""
    (port,) = free_ports(1)
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await(server, f"http://127.0.0.1:{port}/moto-api/")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture
def bucket_url(object_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """`s3://` of a bucket that nobody else has; the environment says where and who."""
    name = f"bucket-{next(_numbers)}"
    settings = {"ENDPOINT_URL": object_server, "REGION": "us-east-1"}
    settings |= {"ACCESS_KEY_ID": "tester", "SECRET_ACCESS_KEY": "secret"}
    for key, value in settings.items():
        monkeypatch.setenv(f"AWS_{key}", value)
    made = urllib.request.Request(f"{object_server}/{name}", method="PUT")
    made.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=tester/1/us-east-1/s3/aws4")
    with urllib.request.urlopen(made, timeout=30) as answer:
        assert answer.status == 200
    return f"s3://{name}"


def _await(server: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the S3-compatible server did not start: is moto installed?")
