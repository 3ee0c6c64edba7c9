"""Running commands on the host, each with a time limit; what did not work is `Refused`."""

import os
import re
import subprocess
from typing import Any

Json = dict[str, Any]

Answer = subprocess.CompletedProcess[str]

CHECK_SECONDS = 20
"""Longest that a look at one state may take."""

CHANGE_SECONDS = 600
"""Longest that one command which changes something may take (a package run is the slowest)."""


class Refused(Exception):
    """A step that did not work: what it was, and the host's own words."""

    def __init__(self, step: str, message: str) -> None:
        """Keep both; `state` says what the host is left with, once that is known."""
        super().__init__(step, message)
        self.step = step
        self.message = message
        self.state = ""


def run(
    command: list[str], environment: dict[str, str] | None = None, timeout: float = CHANGE_SECONDS
) -> Answer:
    """One command with a time limit, no terminal, text back."""
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        encoding="utf-8",
        errors="replace",
        check=False,
        cwd="/",
    )


def shell(script: str, variables: dict[str, str], timeout: float) -> Answer:
    """A sh script with extra variables in its environment; they show in no argument list."""
    return run(["/bin/sh", "-euc", script], dict(os.environ, **variables), timeout)


def must(step: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command that has to work; Refused carries what it said."""
    try:
        answer = run(command, environment)
    except subprocess.TimeoutExpired:
        raise Refused(step, f"not done within {CHANGE_SECONDS} s") from None
    if answer.returncode != 0:
        raise Refused(step, last_words(answer))


def must_shell(step: str, script: str, variables: dict[str, str]) -> None:
    """Run a script that has to work; secrets are taken out of what it said."""
    try:
        answer = shell(script, variables, CHANGE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Refused(step, f"not done within {CHANGE_SECONDS} s") from None
    if answer.returncode != 0:
        words = last_words(answer)
        for name, value in variables.items():
            if name != "STAGE":
                words = words.replace(value, f"«secret {name}»")
        raise Refused(step, words)


POINTER = re.compile("See .systemctl status")
"""systemctl's advice to look where the reader of our message is not."""

WORDS = 1200
"""How many characters of a failed command's output are passed on."""


def last_words(answer: Answer) -> str:
    """The end of what a command said, or its exit code if it said nothing."""
    lines = (answer.stderr + "\n" + answer.stdout).splitlines()
    words = "\n".join(line for line in lines if line.strip() and not POINTER.match(line))
    return words[-WORDS:] or f"exit code {answer.returncode}"
