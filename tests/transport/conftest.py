"""Real ways in to this very machine: its own processes, and an sshd of the tests' own."""

import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from connect_infra.targets import Target
from connect_infra.transport import connect

SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding no
MaxSessions 10
SetEnv HOME={folder} PATH=/usr/sbin:/usr/bin:/sbin:/bin
"""
"""Its own home and path: the login shell of whoever runs the tests shall not decide the outcome."""


@dataclass(frozen=True)
class Sshd:
    """An sshd on the loopback: its process, its files, and itself as a target."""

    process: subprocess.Popen
    folder: Path
    target: Target

    def sessions(self):
        """The process ids of the connections that it serves."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sshd")
    port = free_port()
    make_key(folder / "host")
    make_key(folder / "user")
    config = folder / "sshd_config"
    config.write_text(SSHD.format(port=port, folder=folder))
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "sshd is missing: install openssh-server"
    log = (folder / "log").open("wb")
    process = subprocess.Popen([program, "-D", "-e", "-f", config], stderr=log)
    wait_for(lambda: listens(port), f"sshd ({folder / 'log'})")
    target = Target(
        name="this-machine",
        host="127.0.0.1",
        port=port,
        user=os.environ.get("USER", "root"),
        key=folder / "user",
        known_hosts=known_hosts,
    )
    yield Sshd(process, folder, target)
    process.terminate()
    process.wait(10)


@pytest.fixture(params=["local", "ssh"])
def connection(request):
    """The same machine by both ways in: what holds for one must hold for the other."""
    if request.param == "ssh":
        target = request.getfixturevalue("sshd").target
    else:
        target = Target(name="this-machine", way="local")
    with connect(target) as made:
        yield made


@dataclass(frozen=True)
class Server:
    """A TCP server that greets, echoes until its client has ended, and says goodbye."""

    port: int


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener,))
        thread.start()
        yield Server(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(client,), daemon=True).start()


def _echo(client):
    with client, suppress(ConnectionError):  # a client may go before its echo has come
        client.sendall(b"hello ")
        while data := client.recv(65536):
            client.sendall(data)
        client.sendall(b" goodbye")
