"""The ledger: every event is on disk before the drill goes on, and nothing is guessed."""

import os
import signal
import subprocess
import sys

import pytest

from chaos.history import Ledger, Operation, read_history
from connect_infra.errors import ObservationError


def test_what_was_written_is_read_back(tmp_path):
    path = tmp_path / "writes.jsonl"
    with Ledger(path) as ledger:
        for element in (3, 5, 9, 10):
            ledger.invoke(element, element + 0.5)
        ledger.complete(5, 7.0, "ok")
        ledger.complete(3, 8.0, "fail", "refused")
        ledger.complete(9, 12.0, "info", "time-out")
    assert read_history(path) == (
        Operation(3, 3.5, "fail", 8.0, "refused"),
        Operation(5, 5.5, "ok", 7.0),
        Operation(9, 9.5, "info", 12.0, "time-out"),
        Operation(10, 10.5, "info"),
    )


def test_elements_increase_and_end_once(tmp_path):
    with Ledger(tmp_path / "writes.jsonl") as ledger:
        ledger.invoke(2, 0.0)
        with pytest.raises(ValueError, match="must increase"):
            ledger.invoke(2, 0.0)
        ledger.complete(2, 1.0, "ok")
        for element in (2, 7):
            with pytest.raises(ValueError, match="not invoked, or ended"):
                ledger.complete(element, 1.0, "ok")


def test_histories_are_never_mixed(tmp_path):
    Ledger(tmp_path / "writes.jsonl").close()
    with pytest.raises(FileExistsError):
        Ledger(tmp_path / "writes.jsonl")


def test_a_killed_controller_leaves_what_it_sent(tmp_path):
    path = tmp_path / "writes.jsonl"
    script = f"""
import os, pathlib, signal
from chaos.history import Ledger
ledger = Ledger(pathlib.Path({str(path)!r}))
ledger.invoke(1, 0.1); ledger.complete(1, 0.2, "ok"); ledger.invoke(2, 0.3)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=os.getcwd(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert [one.outcome for one in read_history(path)] == ["ok", "info"]


def test_a_line_cut_off_at_the_end_is_left_out_and_junk_is_refused(tmp_path):
    path = tmp_path / "writes.jsonl"
    whole = '{"element": 1, "at": 1.0, "event": "invoke"}\n'
    path.write_text(whole + '{"element": 2, "a')
    assert read_history(path) == (Operation(1, 1.0),)
    for junk in ("nonsense\n", '{"element": 1, "at": 2, "event": "maybe", "note": ""}\n',
                 '{"element": 7, "at": 2, "event": "ok", "note": ""}\n'):  # fmt: skip
        path.write_text(whole + junk)
        with pytest.raises(ObservationError, match="line 2"):
            read_history(path)
    with pytest.raises(ObservationError, match="No such file"):
        read_history(tmp_path / "none")
