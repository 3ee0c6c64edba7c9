"""What is wrong with an answer, in words of which there are few."""

import gzip
import json

import pytest

from loadtests.exchange import Answer, Request, fault

PAGE = b"<html><body><center><h1>%s</h1></center><hr><center>nginx</center></body></html>"
POOL = "the database does not answer: timeout exceeded when trying to connect"

right = Request("/", lambda it: it.json()["id"] == 7)


def refused(status: int, body: bytes, **headers: str) -> str:
    return fault(right, Answer(status, headers, body))


def test_a_right_answer_has_no_fault():
    assert refused(200, b'{"id": 7}') == ""


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (429, PAGE % b"429 Too Many Requests", "status 429 from nginx"),
        (502, PAGE % b"502 Bad Gateway", "status 502 from nginx"),
        (503, json.dumps({"error": POOL}).encode(), f"status 503: {POOL}"),
        (503, b"", "status 503"),
        (503, b"<html>", "status 503"),
        (503, b'["error"]', "status 503"),
        (404, b'{"error": "no program 4711"}', "status 404: no program N"),
        (500, b'{"error": "a\\nb \\u001b[31m"}', "status 500"),
    ],
)
def test_it_says_who_refused_and_why(status, body, says):
    assert refused(status, body) == says


def test_a_long_reason_is_cut():
    assert len(refused(500, json.dumps({"error": "x" * 500}).encode())) < 100


def test_a_reason_may_be_compressed():
    body = gzip.compress(json.dumps({"error": "away"}).encode())
    assert refused(503, body, **{"content-encoding": "gzip"}) == "status 503: away"


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b'{"id": 8}', {}, "wrong content"),
        (b"{", {}, "unreadable content: JSONDecodeError"),
        (b"{}", {}, "unreadable content: KeyError"),
        (b"no gzip", {"content-encoding": "gzip"}, "unreadable content: BadGzipFile"),
        (gzip.compress(b"{}")[:10] + b"\xff" * 20, {"content-encoding": "gzip"}, "content: error"),
        (gzip.compress(b"{}")[:-9], {"content-encoding": "gzip"}, "content: EOFError"),
    ],
)
def test_content_that_can_not_be_read_is_a_fault(body, headers, says):
    assert refused(200, body, **headers).endswith(says)
