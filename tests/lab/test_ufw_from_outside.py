"""Which ports of a host answer another host, whatever listens there: the documented three."""

import re
import time

import pytest

from connect_infra.document import load
from connect_infra.targets import load_secrets
from connect_infra.transport import connect
from provisioning import apply, diff, observe
from provisioning.component import Context
from provisioning.native import host as base
from provisioning.native import sshd, ufw
from tests.lab.shell import sh

UNLISTED = 8000
"""A port that no rule names: the default policy decides."""

LISTEN = """
import selectors, socket, sys
watched = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        if port != 22:  # sshd's own
            one = socket.create_server((address, port), family=family)
            watched.register(one, selectors.EVENT_READ)
while True:
    for key, _ in watched.select():
        client, _ = key.fileobj.accept()
        client.close()
"""

ASK = """
import socket, sys
for port in map(int, sys.argv[2:]):
    try:
        socket.create_connection((sys.argv[1], port), 1.5).close()
        print(port, "answers")
    except TimeoutError:
        print(port, "dropped")
    except OSError as other:
        print(port, other)
"""

NETWORK = "fd00:c0:ffee::"
"""Addresses of the tests' own: the lab's network has none of IPv6, but it carries it."""


def ports(action):
    """The ports that the documented rules allow or deny."""
    rule = re.compile(rf"{action} (\d+)/tcp")
    found = [rule.fullmatch(one.documented) for one in load().component("ufw")]
    return [int(one[1]) for one in found if one]


def give_ipv6(host, number):
    """An IPv6 address on the lab's network, in use at once."""
    sh(host, "sysctl -qw net.ipv6.conf.all.disable_ipv6=0; "
             f"ip -6 addr replace {NETWORK}{number}/64 dev eth0 nodad")  # fmt: skip
    return f"{NETWORK}{number}"


@pytest.fixture(scope="module")
def walled(lab):
    """A bare host behind the documented firewall, with listeners on every port that matters."""
    host = lab.up("walled")
    target = host.target()
    expectations = target.expectations(load())
    ctx = Context(expectations, load_secrets(target), target)
    components = tuple(module.component(ctx) for module in (base, sshd, ufw))
    with connect(target) as connection:
        apply(connection, diff(components, observe(connection, components)), components, print)
    listening = " ".join(str(port) for port in [*ports("allow"), *ports("deny"), UNLISTED])
    sh(host, f"cat > /root/listen.py <<'END'\n{LISTEN}\nEND\n"
             f"systemd-run -q --unit=listeners python3 /root/listen.py {listening}")  # fmt: skip
    yield host
    host.remove()


@pytest.fixture(params=["IPv4", "IPv6"])
def answers(request, walled, attacker):
    """Ask the host's ports from the attacker, by one family."""
    if request.param == "IPv6":
        address = request.getfixturevalue("addresses_of_ipv6")
    else:
        address = walled.address

    def ask(host, *asked):
        said = sh(host, f"python3 - {address} {' '.join(map(str, asked))} <<'END'\n{ASK}\nEND")
        return dict(line.split(" ", 1) for line in said.splitlines())

    return ask


@pytest.fixture(scope="module")
def addresses_of_ipv6(walled, attacker):
    """The walled host's IPv6 address, with the attacker on the same network."""
    give_ipv6(attacker, 2)
    return give_ipv6(walled, 1)


def test_the_allowed_ports_answer_and_nothing_else(answers, walled, attacker):
    asked = [*ports("allow"), *ports("deny"), UNLISTED]
    deadline = time.monotonic() + 10
    while set(answers(walled, *asked).values()) != {"answers"}:  # from itself: all listen
        assert time.monotonic() < deadline, answers(walled, *asked)
        time.sleep(0.3)
    assert answers(attacker, *asked) == {
        **{str(port): "answers" for port in ports("allow")},
        **{str(port): "dropped" for port in ports("deny")},
        str(UNLISTED): "dropped",
    }
