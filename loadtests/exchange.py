"""A request, its answer, and what is wrong with the answer, in words that can be counted."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_REASON = 80
"""Characters of a site's own words that are kept: they are counted, and each kind has a line."""

CUT_OFF = "cut off at the end"
"""What a request is that had no answer yet when the run ended."""

OWN_FAULT = "the generator failed"
"""What begins a failure that is none of the site's."""

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, OSError, EOFError, zlib.error)
"""What reading an answer raises when it is not the expected one."""


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case; `body` is as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float = 0.0
    """The moment of time.monotonic() at which the last of it was there."""

    def content(self) -> bytes:
        """The body without its compression."""
        if self.headers.get("content-encoding") == "gzip":
            return gzip.decompress(self.body)
        return self.body

    def json(self) -> Any:
        """The body as JSON; ValueError when it is none."""
        return json.loads(self.content())


Check = Callable[[Answer], bool]


@dataclass(frozen=True)
class Request:
    """One request, the status that its answer must have, and what else must hold of it."""

    path: str
    check: Check
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 200


def fault(request: Request, answer: Answer) -> str:
    """Why an answer is none; empty when it is right."""
    if answer.status != request.status:
        return f"status {answer.status}{_said(answer)}"
    try:
        return "" if request.check(answer) else "wrong content"
    except UNREADABLE as problem:
        return f"unreadable content: {type(problem).__name__}"


def _said(answer: Answer) -> str:
    """Who refused, and why: nginx by itself, or the application in words of its own."""
    try:
        if b"<center>nginx" in answer.content():
            return " from nginx"
        reason = str(answer.json()["error"])
    except UNREADABLE:
        return ""
    # Numbers and whatever else could make each failure a kind of its own.
    same = re.sub(r"\d+", "N", " ".join(reason.split()))
    return f": {same[:LONGEST_REASON]}" if same.isprintable() else ""
