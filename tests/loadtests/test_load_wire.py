"""One request out and one answer in, however the network cuts it."""

import http.client
import socket
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.exchange import Request
from loadtests.wire import packed, receive

COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: a\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"


def received(*parts: bytes, hang_up=True):
    """What comes of these parts, each sent and read by itself."""
    ours, theirs = socket.socketpair()

    class Slow:
        def recv(self, size):
            if left:
                theirs.sendall(left.pop(0))
            elif hang_up:
                theirs.close()
            return ours.recv(size)

    left = list(parts)
    ours.settimeout(5)
    with ours, theirs:
        return receive(Slow())


def test_a_request_is_sent_as_a_browser_sends_it():
    request = Request("/a?b=1", lambda _: True, "POST", {"Content-Type": "text/plain"}, b"\x00hi")
    head, _, body = packed(request, "x.test").partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /a?b=1 HTTP/1.1"
    assert {"Host: x.test", "Content-Type: text/plain", "Content-Length: 3"} <= set(headers)
    assert any(one.startswith("User-Agent: Mozilla/5.0") for one in headers)
    assert body == b"\x00hi"


def test_a_request_without_a_body_says_nothing_of_one():
    text = packed(Request("/", lambda _: True), "x.test")
    assert b"Content-Length" not in text
    assert text.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("token", ["a\r\nX-Other: b", "a\nb", "\x00"])
def test_one_header_never_becomes_two(token):
    request = Request("/", lambda _: True, headers={"Authorization": f"Bearer {token}"})
    with pytest.raises(ValueError, match="control characters"):
        packed(request, "x.test")


@given(st.sampled_from([COUNTED, CHUNKED, CLOSED]), st.sets(st.integers(1, 80), max_size=6))
def test_an_answer_is_the_same_in_any_pieces(text, cuts):
    places = [0, *sorted(one for one in cuts if one < len(text)), len(text)]
    parts = [text[a:b] for a, b in pairwise(places)]
    answer, goes_on = received(*parts)
    assert (answer.status, answer.body) == (200, b"hello")
    assert goes_on == (text is not CLOSED)
    assert text is not COUNTED or answer.headers == {"content-length": "5", "x-one": "a"}


@pytest.mark.parametrize(
    ("text", "raises"),
    [
        (b"", http.client.RemoteDisconnected),
        (COUNTED[:20], http.client.RemoteDisconnected),
        (COUNTED[:-1], http.client.IncompleteRead),
        (CHUNKED[:-6], http.client.IncompleteRead),
        (b"SSH-2.0-OpenSSH\r\n", http.client.HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", http.client.HTTPException),
    ],
)
def test_what_is_no_answer_is_an_error(text, raises):
    with pytest.raises(raises):
        received(*([text] if text else []))


def test_an_answer_that_does_not_end_is_waited_for():
    with pytest.raises(TimeoutError):
        received(COUNTED[:-1], hang_up=False)
