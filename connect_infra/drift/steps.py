"""Runs the data's scripts on a host, in order, in one round trip.

They come in through the engine and not over SSH: a drift of sshd or of the firewall must not keep
its own undoing out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connect_infra.transport import Connection

STEP_LIMIT = 120.0
"""Seconds for one script; a restart of PM2's processes takes 15, on a busy machine a minute."""

KEPT = "/root/connect-infra-drift"
"""Where a host keeps the files as they were, until a batch is undone."""

END = "END-OF-PROGRAM"

_RUNNER = """
import os, subprocess

def main(payload):
    said = []
    for step in payload["steps"]:
        script = "set -eu\\n" + payload["functions"] + "\\n" + step["script"]
        environment = {**os.environ, **step["variables"], "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(["/bin/sh", "-c", script], env=environment, cwd="/",
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  errors="replace", timeout=payload["limit"])
            output = (done.stderr or done.stdout).strip()
            said.append([done.returncode, output[-300:]])
        except subprocess.TimeoutExpired:
            said.append([124, "no end within %d s" % payload["limit"]])
    return said
"""


@dataclass(frozen=True)
class Step:
    """One script and the variables that it is given."""

    script: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Said:
    """How one script ended."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.code == 0

    @property
    def said(self) -> str:
        """What it wrote, on one line, or its exit code."""
        return " ".join(self.output.split()) or f"exit code {self.code}"


def run(connection: Connection, steps: Sequence[Step]) -> list[Said]:
    """Run all steps as root, also after one that failed; what each said, in order."""
    payload: dict[str, Any] = {
        "functions": f"KEPT={KEPT}\n{_functions()}",
        "steps": [{"script": step.script, "variables": dict(step.variables)} for step in steps],
        "limit": STEP_LIMIT,
    }
    limit = STEP_LIMIT * max(len(steps), 1)
    answers = connection.python(_RUNNER, payload, sudo=True, timeout=limit)
    return [Said(code, output) for code, output in answers]


def _functions() -> str:
    """The shell functions of the data; each Python program of it is one more, by its name."""
    data = Path(__file__).parent / "data"
    text = (data / "functions.sh").read_text(encoding="utf-8")
    for program in sorted(data.glob("*.py")):
        source = program.read_text(encoding="utf-8")
        text += f"\n{program.stem}() {{\npython3 - \"$@\" <<'{END}'\n{source}\n{END}\n}}\n"
    return text
