"""Each jail bans whoever earns it: after exactly so many offences, on its ports, for its time.

The attacker is a second host. Every jail meets an address of its own, so that no test finds what
another has left; the attacker's first address does nothing wrong and must get in everywhere.
"""

import ipaddress
import re
import socket
import time
from datetime import datetime
from functools import partial

import pytest

from connect_infra.document import load
from tests.lab import shell
from tests.lab.shell import sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

JAILS = ("sshd", "nginx-req-limit", "nginx-noscript", "nginx-badbots")
PORTS = {"ssh": {22}, "http,https": {80, 443}}
ALL_PORTS = {22, 80, 443}

COUNTED = 15.0
"""Seconds in which fail2ban has read what was logged and has acted on it."""

REQUEST = """
import http.client
client = http.client.HTTPConnection("{host}", 80, timeout=5, source_address=("{address}", 0))
client.request("GET", "{path}", headers={{"Host": "your-domain.com", "User-Agent": "{agent}"}})
print(client.getresponse().status)
"""

OVER_THE_LIMIT = """
import http.client, ssl
refused = 0
while refused < {times}:
    client = http.client.HTTPSConnection("{host}", 443, timeout=5, source_address=("{address}", 0),
                                         context=ssl._create_unverified_context())
    client.request("GET", "/api/login/nothing", headers={{"Host": "your-domain.com"}})
    refused += client.getresponse().status == 429
    client.close()
"""

CONNECTS = """
import socket
try:
    socket.create_connection(("{host}", {port}), 3, ("{address}", 0)).close()
    print("yes")
except OSError as refusal:
    print("no", refusal)
"""


def python(on, program, **values):
    return sh(on, f"python3 - <<'END'\n{program.format(**values)}\nEND")


def option(jail, name):
    """A jail's documented option, its own or the default."""
    controls = load().controls
    return controls.get(f"fail2ban.{jail}.{name}", controls.get(f"fail2ban.DEFAULT.{name}"))


def ports_of(jail):
    """The ports that a jail's bans close; one jail names them in its action."""
    port = option(jail, "port")
    if port is not None:
        return PORTS[port.documented]
    (named,) = re.findall(r'port="([^"]+)"', option(jail, "action").documented)
    return PORTS[named]


def offend(jail, attacker, host, address, times):
    """Do what a jail watches for, so many times."""
    where = {"host": host.address, "address": address}
    if jail == "sshd":
        login = f"ssh -b {address} -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=5"
        for _ in range(times):
            said = attacker.exec(f"{login} intruder@{host.address} 2>&1")[1]
            assert "Permission denied" in said, said
    elif jail == "nginx-req-limit":
        python(attacker, OVER_THE_LIMIT, times=times, **where)
    else:
        path, agent = {
            "nginx-noscript": ("/wp-login.php", "curl"),
            "nginx-badbots": ("/", "sqlmap/1.7"),
        }[jail]
        for _ in range(times):
            python(attacker, REQUEST, path=path, agent=agent, **where)


def open_ports(attacker, host, address):
    """The ports on which an address gets through."""
    return {
        port
        for port in ALL_PORTS
        if python(attacker, CONNECTS, host=host.address, port=port, address=address) == "yes"
    }


def failures(host, jail):
    """How many offences a jail has counted."""
    count = f"fail2ban-client status {jail} | sed -n 's/.*Total failed:[^0-9]*//p'"
    return int(sh(host, count))


def banned(host, jail):
    return sh(host, f"fail2ban-client get {jail} banip").split()


eventually = partial(shell.eventually, limit=COUNTED)


@pytest.fixture
def addresses(attacker):
    """The attacker's own address, and one that nobody has used before."""
    own = sh(attacker, "ip -4 -o addr show eth0 | awk '{print $4; exit}'")
    interface = ipaddress.ip_interface(own)
    unused = interface.network.num_addresses // 2  # the engine gives the lower ones
    fresh = interface.network.broadcast_address - 1 - int(time.time()) % unused
    sh(attacker, f"ip addr add {fresh}/{interface.network.prefixlen} dev eth0")
    yield str(interface.ip), str(fresh)
    sh(attacker, f"ip addr del {fresh}/{interface.network.prefixlen} dev eth0")


@pytest.mark.parametrize("jail", JAILS)
def test_a_jail_bans_its_offender_and_nobody_else(jail, host, attacker, addresses):
    bystander, offender = addresses
    allowed = int(option(jail, "maxretry").documented)
    assert open_ports(attacker, host, offender) == ALL_PORTS

    before = failures(host, jail)
    offend(jail, attacker, host, offender, allowed - 1)
    assert eventually(lambda: failures(host, jail) == before + allowed - 1), failures(host, jail)
    time.sleep(1)
    assert banned(host, jail) == []

    offend(jail, attacker, host, offender, 1)
    assert eventually(lambda: banned(host, jail) == [offender]), banned(host, jail)

    assert open_ports(attacker, host, offender) == ALL_PORTS - ports_of(jail)
    assert open_ports(attacker, host, bystander) == ALL_PORTS
    for port in ALL_PORTS:  # the controller
        socket.create_connection((host.address, port), 3).close()

    line = sh(host, f"fail2ban-client get {jail} banip --with-time")
    start, seconds, end = re.fullmatch(r"\S+\s+(.+?) \+ (\d+) = (.+)", line).groups()
    assert int(seconds) == int(option(jail, "bantime").documented)
    lasts = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    assert lasts.total_seconds() == int(seconds)
    rules = sh(host, "iptables -S")
    assert len(re.findall(rf"-s {re.escape(offender)}/32 .*-j REJECT", rules)) == 1, rules
    in_no_other = [other for other in JAILS if other != jail and banned(host, other)]
    assert in_no_other == []

    sh(host, f"fail2ban-client set {jail} unbanip {offender}")
    assert eventually(lambda: open_ports(attacker, host, offender) == ALL_PORTS)
    assert offender not in sh(host, "iptables -S")
