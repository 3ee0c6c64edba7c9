"""A steady stream of requests to a lab host, by open loop: what each was answered, and when."""

import contextlib
import http.client
import itertools
import threading
import time
from dataclasses import dataclass

from connect_infra.errors import HostUnreachable
from connect_infra.web import Site

RATE = 100
"""Requests a second."""

CLIENTS = 25
LIMIT = 10.0
PATHS = ("/api/health?nonce=", "/?nonce=")


@dataclass(frozen=True)
class Slot:
    """One request: when it was due, how late it began (s), and what came of it."""

    due: float
    late: float
    seconds: float
    status: int
    version: str
    problem: str

    @property
    def ok(self):
        return self.status == 200 and not self.problem


class Steady:
    """Clients that keep their connections, each asking when its slot has come."""

    def __init__(self, target):
        self.site = Site(target)
        assert target.lab, "requests go to lab hosts only"
        self.context = self.site.context()
        self.slots = []
        self.stop = threading.Event()

    def client(self, number, start):
        connection = None
        for turn in itertools.count():
            due = start + (turn * CLIENTS + number) / RATE
            if self.stop.wait(max(0.0, due - time.monotonic())):
                break
            began = time.monotonic()
            connection = connection or self.open()
            nonce = f"{number}-{turn}"
            status, version, problem = self.ask(connection, PATHS[turn % 2] + nonce, nonce)
            if problem:
                connection.close()
                connection = None
            self.slots.append(
                Slot(due, began - due, time.monotonic() - due, status, version, problem)
            )
        if connection:
            connection.close()

    def open(self):
        made = http.client.HTTPSConnection(self.site.domain, timeout=LIMIT, context=self.context)
        made._create_connection = lambda *_, **__: self.site.connect(443)
        return made

    @staticmethod
    def ask(connection, path, nonce):
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            version = answer.headers.get("X-Connect-Version", "")
            problem = "" if nonce in body else f"no nonce in the body: {body[:80]}"
            return answer.status, version, problem
        except (OSError, http.client.HTTPException, HostUnreachable) as problem:
            return 0, "", f"{type(problem).__name__}: {problem}"

    def between(self, start, end=float("inf")):
        return [slot for slot in self.slots if start <= slot.due < end]

    def failed(self):
        return [slot for slot in self.slots if not slot.ok]

    def versions(self):
        """Each version with the due times of its first and last answer, in order."""
        seen = {}
        for slot in sorted(self.slots, key=lambda one: one.due):
            first, _ = seen.get(slot.version, (slot.due, 0))
            seen[slot.version] = (first, slot.due)
        return seen


@contextlib.contextmanager
def steady(target, tail=1.0):
    """Ask all the time while the block runs, and a little longer."""
    stream = Steady(target)
    start = time.monotonic() + 0.5
    threads = [
        threading.Thread(target=stream.client, args=(number, start)) for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1.5)
        yield stream
        time.sleep(tail)
    finally:
        stream.stop.set()
        for thread in threads:
            thread.join()
    on_time = sum(slot.late < 0.25 for slot in stream.slots)
    assert on_time > 0.9 * len(stream.slots), "this machine was too busy to ask steadily"
