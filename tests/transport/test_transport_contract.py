"""What every connection promises, shown on this machine by both ways in."""

import hashlib
import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from connect_infra.errors import CommandFailed, CommandTimedOut
from connect_infra.transport import Completed
from connect_infra.transport.base import PUT

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

FIVE_MB = os.urandom(5_000_000)


def processes_with(text):
    """The command lines on this machine that hold `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended in the meantime
        if text.encode() in line:
            found.append(line)
    return found


def test_run_gives_code_and_both_outputs(connection):
    done = connection.run('echo "$1"; echo "$2" >&2; exit 3', "a 'quoted' word", "$HOME *")
    assert done == Completed(3, "a 'quoted' word\n", "$HOME *\n")


def test_junk_is_shown_not_swallowed(connection):
    done = connection.run(r"printf 'a\377b\n'; printf '\200' >&2")
    assert (done.stdout, done.stderr) == ("a\\xffb\n", "\\x80")


def test_five_megabytes_each_way(connection):
    assert connection.run("sha256sum", stdin=FIVE_MB).stdout.split()[0] == (
        hashlib.sha256(FIVE_MB).hexdigest()
    )
    text = "x" * 5_000_000
    assert connection.run("cat; cat /etc/hostname >&2", stdin=text.encode()).stdout == text


def test_input_that_nobody_reads_does_no_harm(connection):
    assert connection.run("exit 7", stdin=FIVE_MB).code == 7


def test_much_on_both_outputs_does_not_block(connection):
    done = connection.run("head -c 6000000 /dev/zero >&2; head -c 6000000 /dev/zero")
    assert (len(done.stdout), len(done.stderr)) == (6_000_000, 6_000_000)


def test_a_late_command_is_ended_here_and_on_the_host(connection):
    started = time.monotonic()
    with pytest.raises(CommandTimedOut, match=r"end within 0\.3 s, found it still ran"):
        connection.run("sleep 31.4159; true", timeout=0.3)
    assert time.monotonic() - started < 1.5
    assert connection.run("echo still here").stdout == "still here\n"
    while processes_with("sleep\x0031.4159"):
        assert time.monotonic() - started < 8, "the command still runs on the host"
        time.sleep(0.05)


def test_a_command_that_never_stops_printing_is_ended(connection):
    with pytest.raises(CommandTimedOut):
        connection.run("while :; do echo y; sleep 0.01; done", timeout=0.3)


def test_python_gives_back_what_main_returns(connection):
    source = "import os\ndef main(payload):\n    return [payload['ü'], os.getpid() > 1, None]"
    assert connection.python(source, {"ü": 1.5}) == [1.5, True, None]


def test_python_may_print_and_start_programs_that_print(connection):
    source = "import os\ndef main(_):\n    print('a')\n    os.system('echo b')\n    return 1"
    assert connection.python(source, None) == 1


def test_python_that_fails_is_one_line(connection):
    with pytest.raises(CommandFailed) as caught:
        connection.python("def main(_):\n    raise ValueError('no such\\nthing')", None)
    assert "\n" not in str(caught.value)
    assert "thing" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_python_does_not_import_from_where_it_starts(connection, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    source = "def main(_):\n    import sys\n    return '' in sys.path"
    assert connection.python(source, None) is False


def test_no_secret_is_in_an_argument_list(connection):
    source = (
        "import pathlib\n"
        "def main(secret):\n"
        "    lines = []\n"
        "    for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "        try:\n"
        "            lines.append(path.read_text(errors='replace'))\n"
        "        except OSError:\n"
        "            continue\n"
        "    return [sum(word in line for line in lines) for word in (secret, '_call')]"
    )
    with_secret, with_caller = connection.python(source, "hunter2-5d1f7c")
    assert with_caller >= 1, "the caller itself was not seen: the look was no look"
    assert with_secret == 0


def test_put_writes_content_mode_and_owner(connection, tmp_path):
    path = tmp_path / "some file"
    path.write_text("old")
    before = path.stat().st_ino
    connection.put(str(path), FIVE_MB, mode=0o4750, owner="daemon", group="mail")
    found = path.stat()
    assert path.read_bytes() == FIVE_MB
    assert stat.S_IMODE(found.st_mode) == 0o4750
    assert (path.owner(), path.group()) == ("daemon", "mail")
    assert found.st_ino != before, "it must be renamed into place, not written over"
    assert [entry.name for entry in tmp_path.iterdir()] == ["some file"]


@pytest.mark.parametrize("owner", ["root", "nobody-of-that-name"])
def test_put_that_fails_says_why_and_leaves_nothing(connection, tmp_path, owner):
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(CommandFailed, match=r"taken to be written, found .*(directory|invalid)"):
        connection.put(str(path), b"new", mode=0o600, owner=owner)
    assert list(path.iterdir()) == []
    assert list(tmp_path.iterdir()) == [path]


def test_put_that_was_cut_off_keeps_the_old_file(connection, tmp_path):
    path = tmp_path / "kept"
    path.write_text("old")
    done = connection.run(PUT, str(path), "10", "0600", "root:root", stdin=b"half")
    assert (done.code, done.stderr) == (1, "4 of 10 bytes arrived\n")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_put_does_not_follow_a_link_laid_beside_it(connection, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "file.connect-infra-new").symlink_to(victim)
    connection.put(str(tmp_path / "file"), b"new", mode=0o600)
    assert victim.read_text() == "precious"
    assert (tmp_path / "file").read_text() == "new"


def test_round_trips_are_counted(connection, server, tmp_path):
    assert connection.round_trips == 0
    connection.run("true")
    connection.python("def main(_): return 0", None)
    connection.put(str(tmp_path / "file"), b"", mode=0o600)
    assert connection.round_trips == 3
    with connection.stream(server.port) as path, dialled(path) as client:
        assert receive(client, 6) == b"hello "
    assert connection.round_trips == 4


def test_threads_share_a_connection(connection):
    answers = {}

    def ask(number):
        answers[number] = connection.run("echo $1", str(number)).stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"{number}\n" for number in range(8)}
    assert connection.round_trips == 8


def test_testinfra_speaks_over_the_same_connection(connection):
    host = connection.testinfra()
    assert host.file("/etc/passwd").user == "root"
    assert host.run("printf %s; exit 4", "a b").rc == 4
    assert host.check_output("echo %s", "it's") == "it's"
    assert not host.file("/no/such/file").exists
    assert connection.round_trips >= 4


def dialled(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path))
    return client


def greeting(path):
    """What a client does first; it fails when there is nobody to greet it."""
    with dialled(path) as client:
        if not (said := client.recv(6)):
            raise EOFError("closed")
        return said


def receive(client, size):
    found = bytearray()
    while len(found) < size and (data := client.recv(size - len(found))):
        found += data
    return bytes(found)


def read_all(client):
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_stream_carries_both_ways_and_ends_each_alone(connection, server):
    with connection.stream(server.port) as path, dialled(path) as client:
        sender = threading.Thread(target=client.sendall, args=(FIVE_MB,))
        sender.start()
        assert receive(client, 6) == b"hello "
        assert receive(client, len(FIVE_MB)) == FIVE_MB
        sender.join()
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b" goodbye"


def test_stream_tells_that_the_server_has_ended_while_we_still_send(connection):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            client, _ = listener.accept()
            with client:
                client.sendall(b"my last word")
                client.shutdown(socket.SHUT_WR)
                heard.append(read_all(client))

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            connection.stream(listener.getsockname()[1]) as path,
            dialled(path) as client,
        ):
            assert read_all(client) == b"my last word"
            client.sendall(b"but I go on")
            client.shutdown(socket.SHUT_WR)
            thread.join(10)
    assert heard == [b"but I go on"]


def test_what_a_client_sent_before_it_left_still_arrives(connection):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        with connection.stream(listener.getsockname()[1]) as path:
            with dialled(path) as client:
                client.sendall(FIVE_MB[:100_000])
            served, _ = listener.accept()
            with served:
                assert read_all(served) == FIVE_MB[:100_000]


def test_stream_is_private_and_named_for_postgresql_clients(connection, server):
    with connection.stream(server.port) as path:
        assert path.name == f".s.PGSQL.{server.port}"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_stream_carries_several_connections_at_once(connection, server):
    with connection.stream(server.port) as path:
        clients = [dialled(path) for _ in range(8)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        answers = [receive(client, 7) for client in clients]
        for client in clients:
            client.close()
    assert answers == [b"hello %d" % number for number in range(8)]


def test_the_end_of_a_stream_ends_its_connections(connection, server):
    with connection.stream(server.port) as path:
        client = dialled(path)
        assert receive(client, 6) == b"hello "
        started = time.monotonic()
    assert time.monotonic() - started < 2
    with client:
        assert client.recv(1) == b""
    while processes_with(f"\0{server.port}\0"):
        assert time.monotonic() - started < 8, "the relay still runs on the host"
        time.sleep(0.05)


def test_stream_to_a_port_where_nobody_listens(connection):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EOFError) as caught, connection.stream(port) as path:
        greeting(path)
    assert f"127.0.0.1:{port} on this-machine" in caught.value.__notes__[0]
    assert "Connection refused" in caught.value.__notes__[0]
