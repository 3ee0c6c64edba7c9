"""What runs on the host: all commands at once, each with a time limit, answers without secrets.

This file's text is sent to the host's Python as it stands; it uses the standard library only.
"""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

WORKERS = 4
LIMIT = 15
"""Seconds for one command."""


def main(payload: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Run `payload["commands"]` ({module: {label: script}}) with the secrets as environment.

    In what is returned each secret's value is replaced by «secret NAME».
    """
    secrets: dict[str, str] = payload["secrets"]
    environment = {**os.environ, **secrets, "LC_ALL": "C.UTF-8"}
    jobs = [
        (module, label, script)
        for module, commands in payload["commands"].items()
        for label, script in commands.items()
    ]
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = pool.map(lambda job: _run(job[2], environment, secrets), jobs)
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for (module, label, _), answer in zip(jobs, answers, strict=True):
            found.setdefault(module, {})[label] = answer
    return found


def _run(script: str, environment: dict[str, str], secrets: dict[str, str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            cwd="/",
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"code": 124, "stdout": "", "stderr": f"no end within {LIMIT} s"}
    return {
        "code": done.returncode,
        "stdout": _without_secrets(done.stdout, secrets),
        "stderr": _without_secrets(done.stderr, secrets),
    }


def _without_secrets(output: bytes, secrets: dict[str, str]) -> str:
    text = output.decode(errors="backslashreplace")
    for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        if value:
            text = text.replace(value, f"«secret {name}»")
    return text
