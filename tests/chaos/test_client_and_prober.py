"""The prober against real servers that stall, refuse, cut off and lie on purpose."""

import asyncio
import socket
import time

import pytest

from chaos.client import Door, NoReply, Reply
from chaos.prober import Stream
from chaos.timeline import outages
from chaos.users import outcome_of


def answer(body=b"{}", status=200, length=None):
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status} X\r\nContent-Length: {size}\r\n\r\n".encode() + body


async def serve(handler):
    """A server whose handler gets the request's bytes and returns what to write, or None."""

    async def talk(reader, writer):
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            reply = await handler(request)
            if reply is not None:
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, Door("127.0.0.1", server.sockets[0].getsockname()[1], "site", None)


def ask(handler, limit=0.5):
    async def run():
        server, door = await serve(handler)
        async with server:
            return await door.ask("GET", "/", limit=limit)

    return asyncio.run(run())


def test_an_answer_is_read_to_its_announced_end():
    async def handler(request):
        assert b"Host: site" in request
        return answer(b'{"a": 1}', 201)

    reply = ask(handler)
    assert (reply.status, reply.json()) == (201, {"a": 1})


def test_an_answer_that_is_cut_off_is_none():
    async def handler(request):
        return answer(b"half", length=100)

    with pytest.raises(NoReply, match="cut off") as caught:
        ask(handler)
    assert caught.value.sent


def test_a_stall_ends_at_the_limit_and_the_request_may_have_arrived():
    async def handler(request):
        await asyncio.sleep(5)

    begun = time.monotonic()
    with pytest.raises(NoReply, match=r"no answer in 0\.5 s") as caught:
        ask(handler)
    assert caught.value.sent
    assert time.monotonic() - begun < 1.0


def test_a_refused_connection_certainly_sent_nothing():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        door = Door("127.0.0.1", closed.getsockname()[1], "site", None)
        with pytest.raises(NoReply) as caught:
            asyncio.run(door.ask("GET", "/", limit=1.0))
    assert not caught.value.sent


def test_a_server_that_never_accepts_got_nothing():
    """The backlog is full: the connection hangs before a byte of the request."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        door = Door("127.0.0.1", full.getsockname()[1], "site", None)
        with pytest.raises(NoReply, match="no answer") as caught:
            asyncio.run(door.ask("GET", "/", limit=0.3))
        for one in waiting:
            one.close()
    assert not caught.value.sent


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, b"{}", "ok"),
        (200, b"{}", "info"),
        (503, b'{"outcome": "fail"}', "fail"),
        (503, b'{"outcome": "info"}', "info"),
        (503, b"<html>", "info"),
        (502, b"", "info"),
        (504, b"", "info"),
        (500, b"{}", "info"),
        (429, b"", "fail"),
        (409, b'{"outcome": "fail"}', "fail"),
    ],
)
def test_what_an_answer_says_about_a_write(status, body, outcome):
    assert outcome_of(Reply(status, body), 201) == outcome


async def probed(probe, seconds):
    """The slots of a stream that is stopped after so long, by the moments they were due."""
    slots = []
    stopped = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stopped.set)
    await Stream("reads", 0.05, probe, slots.append).run(stopped)
    return sorted(slots, key=lambda slot: slot.at)


def test_a_stall_hides_no_slot():
    """For half a second the server answers nobody; each of the ten slots then due is bad."""

    async def run():
        begun = time.monotonic()

        async def handler(request):
            since = time.monotonic() - begun
            if 0.5 <= since < 1.0:
                await asyncio.sleep(1.0)
            return answer()

        server, door = await serve(handler)

        async def probe(number):
            try:
                await door.ask("GET", "/", limit=0.2)
            except NoReply as problem:
                return "bad", problem.why
            return "ok", ""

        async with server:
            return await probed(probe, 1.6)

    slots = asyncio.run(run())
    assert len(slots) >= 30
    (outage,) = outages(slots, 0.05)
    assert 8 <= outage.slots <= 11
    assert outage.why == "no answer in 0.2 s"


def test_latency_counts_from_the_moment_the_slot_was_due():
    async def probe(number):
        await asyncio.sleep(0.3)
        return "ok", ""

    slots = asyncio.run(probed(probe, 0.4))
    assert len(slots) >= 7
    assert all(slot.latency >= 0.3 for slot in slots)


def test_a_prober_that_was_late_itself_says_void_not_ok():
    async def probe(number):
        if number == 4:
            time.sleep(0.3)  # holds the prober itself up, on purpose
        return "ok", ""

    slots = asyncio.run(probed(probe, 0.8))
    assert [slot.state for slot in slots[:5]] == ["ok"] * 5
    assert [slot.state for slot in slots[5:10]] == ["void"] * 5
    assert slots[-1].state == "ok"
    assert "begun" in slots[5].why
