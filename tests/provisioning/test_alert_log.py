"""Who takes Alertmanager's messages, as the first process of a container: it logs, and it ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioning.native import prometheus

PROGRAM = prometheus.SOURCES / "alert_log.py"

MESSAGE = {
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "RedisDown", "severity": "critical", "instance": "redis:1"},
            "annotations": {"summary": "Redis does not answer"},
        }
    ]
}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")


@pytest.fixture
def log():
    """The program and the port that it listens on; the first process of a PID namespace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    command = [*alone, sys.executable, "-I", str(PROGRAM), f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process, port
        process.kill()


def post(port, body):
    """Alertmanager's request, once the program listens."""
    for _ in range(100):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("POST", "/", body)
            return client.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.1)
        finally:
            client.close()
    raise AssertionError("it never listened")


@needs_root
def test_an_alert_is_a_line_and_what_is_none_is_refused(log):
    process, port = log
    assert post(port, b"nonsense") == 400
    assert post(port, json.dumps(MESSAGE)) == 200
    line = process.stdout.readline()
    assert line == "<2>firing: RedisDown redis:1 Redis does not answer\n"


@needs_root
def test_it_ends_when_it_is_told_to(log):
    process, port = log
    assert post(port, json.dumps(MESSAGE)) == 200
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(int(children), signal.SIGTERM)
    assert process.wait(5) == 0
