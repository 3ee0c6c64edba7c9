"""Locust as it really runs, against a little site on the loopback that counts for itself."""

import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from loadtests.analysis import generator, incomplete
from tests.loadtests.conftest import free_port


def made(evidence):
    return generator(evidence.rows, evidence.merged, evidence.plan.profile, until=float("inf"))


def test_all_requests_are_made_over_one_connection_a_user(site, plan_of, trial):
    evidence = trial(plan_of(users=20, rate=20, seconds=5)).run()
    total = evidence.merged.total()
    assert incomplete(evidence.rows, evidence.merged, 1) == []
    assert total.requests == site.requests == 100
    assert not total.errors
    found = made(evidence)
    assert found.connections_opened == found.connections_most == site.connections == 20
    assert found.users == 20
    assert found.late_p99 < 0.5


def test_a_state_says_of_which_requests_has_been_told(site, plan_of, trial):
    evidence = trial(plan_of(users=10, rate=40, seconds=8)).run()
    states = evidence.states
    assert all(one["reported"] <= one["at"] for one in states)
    between = [one for one in states if one["reported"] < one["at"] - 1.5]
    assert between
    assert evidence.reported == pytest.approx(evidence.elapsed, abs=0.1)


def test_users_come_from_their_addresses(site, plan_of, trial):
    trial(plan_of(users=20, sources=10)).run()
    assert site.peers == {f"127.0.1.{n}": 2 for n in range(1, 11)}


def test_two_workers_make_the_sum(site, plan_of, trial):
    evidence = trial(plan_of(users=20, rate=20, seconds=6), workers=2).run()
    assert incomplete(evidence.rows, evidence.merged, 2) == []
    shares = sorted(made(evidence).requests_by_process.values())
    assert sum(shares) == evidence.merged.total().requests == site.requests == 120
    assert shares == [60, 60]
    assert site.connections == 20


def test_more_than_1024_connections_are_kept(site, plan_of, trial):
    """The limit of select(2), beyond which a client may reconnect for every request."""
    evidence = trial(plan_of(users=1300, rate=325, seconds=8, timeout=20)).run()
    assert evidence.merged.total().requests == 2600
    assert not evidence.merged.total().errors
    assert made(evidence).connections_opened == site.connections == 1300


def test_a_stall_is_not_hidden(site, plan_of, trial):
    """One user at 10 a second and a stall of 1 s: ten requests were due meanwhile."""
    site.stall_at, site.stall = 20, 1.0
    evidence = trial(plan_of(users=1, rate=10, seconds=5)).run()
    latency = evidence.merged.total().latency
    assert latency.get_max_value() > 900_000
    assert latency.get_value_at_percentile(90) > 400_000
    assert latency.get_value_at_percentile(70) < 200_000


def test_connections_that_the_server_closes_are_opened_again(site, plan_of, trial):
    site.close_after = 0.5
    evidence = trial(plan_of(users=10, rate=10, seconds=5)).run()
    assert not evidence.merged.total().errors
    found = made(evidence)
    assert found.connections_opened == site.connections == 50
    assert found.closed_by_server >= 40


def test_another_host_name_is_no_site(plan_of, trial):
    evidence = trial(plan_of(domain="another.test", users=5, rate=5)).run()
    (kind,) = evidence.merged.total().errors
    assert kind.startswith("certificate refused: Hostname mismatch")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("429 Too Many Requests", b"<hr><center>nginx</center>", "status 429 from nginx"),
        ("503 Service Unavailable", b'{"error": "away"}', "status 503: away"),
    ],
)
def test_who_is_refused_is_counted_by_what_it_was_told(site, plan_of, trial, status, body, kind):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    site.refusal = head.encode() + body
    evidence = trial(plan_of(users=5, rate=10)).run()
    assert evidence.merged.total().errors == {kind: site.requests} == {kind: 50}
    assert made(evidence).connections_opened == 5


def test_a_port_at_which_nobody_listens_is_named(plan_of, trial):
    plan = plan_of(users=5, rate=5).model_copy(update={"port": free_port()})
    evidence = trial(plan).run()
    assert evidence.merged.total().errors == {"connection refused": 25}
    assert incomplete(evidence.rows, evidence.merged, 1) == []


def test_a_port_without_tls_is_named(plan_of, trial):
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def speak():
            with suppress(OSError):
                while True:
                    with plain.accept()[0] as line:
                        line.recv(1000)
                        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=speak, daemon=True).start()
        plan = plan_of(users=5, rate=5).model_copy(update={"port": plain.getsockname()[1]})
        evidence = trial(plan).run()
    assert evidence.merged.total().errors == {"TLS: WRONG_VERSION_NUMBER": 25}


def test_a_generator_that_fails_by_itself_says_so(plan_of, trial):
    """With such a name Python's TLS does not even begin."""
    evidence = trial(plan_of(domain=".test", users=5, rate=5)).run()
    assert evidence.merged.total().errors == {"the generator failed: ValueError": 25}
    reasons = incomplete(evidence.rows, evidence.merged, 1)
    assert reasons == ["the generator failed: ValueError"]


def test_wrong_content_is_an_error(site, plan_of, trial):
    evidence = trial(plan_of(users=5, rate=10, mix={"health": 1})).run()
    assert evidence.merged.total().errors == {"unreadable content: JSONDecodeError": 50}


def test_a_full_disk_ends_the_run_and_says_so(plan_of, trial):
    attempt = trial(plan_of(), rows=Path("/dev/full"))
    evidence = attempt.run(limit=30)
    assert attempt.locust.complaints() == ["results can't be written: No space left on device"]
    assert incomplete(evidence.rows, evidence.merged, 1) == ["0 of 1 generator processes reported"]


def test_an_interrupted_run_keeps_what_it_has(plan_of, trial):
    attempt = trial(plan_of(rate=20, seconds=60))
    evidence = attempt.run(until=lambda it: it.evidence.elapsed > 6)
    assert 60 < evidence.merged.total().requests < 600
    assert made(evidence).requests_planned == 1200
    assert not attempt.locust.running


def test_a_dead_worker_is_noticed(plan_of, trial):
    attempt = trial(plan_of(rate=20, seconds=60), workers=2)

    def killed(it):
        if it.evidence.begun and it.evidence.elapsed > 4 and not it.locust.dead_workers():
            os.kill(it.locust.worker_ids()[0], signal.SIGKILL)
        return it.locust.dead_workers() == 1

    evidence = attempt.run(until=killed)
    assert any(
        "ended before its users had" in one for one in incomplete(evidence.rows, evidence.merged, 2)
    )
