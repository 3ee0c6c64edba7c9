"""What runs on the host: all commands at once, each with a time limit, answers without secrets.

This file's text is sent to the host's Python (3.10 or later) as it stands; it uses the standard
library only.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

WORKERS = 4

LIMIT = 15.0
"""Seconds for one command."""

BUDGET = 45.0
"""Seconds for all of them: what has not ended by then is reported as such."""

TIMED_OUT = 124
"""The exit code that a command gets that did not end in time, as timeout(1) gives it."""


def main(payload: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Run `payload["commands"]` ({module: {label: script}}) with the secrets as environment.

    In what is returned each secret's value is replaced by «secret NAME».
    """
    environment = {**os.environ, **payload["secrets"], "LC_ALL": "C.UTF-8"}
    masks = _masks(payload["secrets"])
    deadline = time.monotonic() + BUDGET
    jobs = [
        (module, label, script)
        for module, commands in payload["commands"].items()
        for label, script in commands.items()
    ]
    found: dict[str, dict[str, dict[str, Any]]] = {module: {} for module in payload["commands"]}
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = pool.map(lambda job: _run(job[2], environment, deadline), jobs)
        for (module, label, _), (code, stdout, stderr) in zip(jobs, answers, strict=True):
            found[module][label] = {
                "code": code,
                "stdout": _masked(stdout, masks),
                "stderr": _masked(stderr, masks),
            }
    return found


def _run(script: str, environment: Mapping[str, str], deadline: float) -> tuple[int, bytes, bytes]:
    """Run one script in a session of its own, so that all it started can be ended."""
    allowed = min(LIMIT, deadline - time.monotonic())
    if allowed <= 0:
        return TIMED_OUT, b"", b"not begun: the other commands took all the time there was"
    process = subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=allowed)
    except subprocess.TimeoutExpired as late:
        _end(process)
        late_stderr = late.stderr or b""
        return TIMED_OUT, late.stdout or b"", late_stderr + b"no end within %.1f s" % allowed
    return process.returncode, stdout, stderr


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended; something that it left behind held its output open
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


def _masks(secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """What to replace by what, the longest first: each value, also as JSON escapes it."""
    masks: dict[str, str] = {}
    for name, value in secrets.items():
        escaped = json.dumps(value)[1:-1]
        for spelling in filter(None, (value, escaped, escaped.replace("/", "\\/"))):
            masks[spelling] = f"«secret {name}»"
    return sorted(masks.items(), key=lambda mask: -len(mask[0]))


def _masked(output: bytes, masks: list[tuple[str, str]]) -> str:
    text = output.decode(errors="backslashreplace")
    for spelling, mask in masks:
        text = text.replace(spelling, mask)
    return text
