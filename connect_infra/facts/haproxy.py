"""The front door as HAProxy itself has it: its runtime socket, and its file beside it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from pydantic import TypeAdapter

from connect_infra.facts.answers import read_json
from connect_infra.facts.base import Output, junk

NAME = "haproxy"

SOCKET = "/var/run/haproxy/admin.sock"
FILE = "/opt/connect/config/haproxy/haproxy.cfg"

DRAINED = 0x08 | 0x10
"""Bits of an administrative state: drained by an operator, or by the server that it tracks."""

WATCHED = 4.4
"""Seconds for which the network is watched: two checks of each server at the documented 2 s."""

_WATCH = """
import json, socket, subprocess, time

FORM = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
NAMES = {"app1": "connect_app1", "app2": "connect_app2"}

def address(name):
    done = subprocess.run(["docker", "inspect", "--format", FORM, name],
                          capture_output=True, text=True, check=True)
    return socket.inet_aton(done.stdout.strip())

door = address("haproxy")
seen = {address(container): (name, []) for name, container in NAMES.items()}
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
end = time.monotonic() + %s
while (left := end - time.monotonic()) > 0:
    wire.settimeout(left)
    try:
        packet, (_, protocol, kind, *_) = wire.recvfrom(128)
    except TimeoutError:
        break
    # A bridged packet is seen as it comes in and as it goes out.
    if protocol != 0x0800 or kind == socket.PACKET_OUTGOING or len(packet) < 40:
        continue
    start = (packet[0] & 15) * 4
    source, to, flags = packet[12:16], packet[16:20], packet[start + 13]
    fresh = packet[9] == 6 and flags & 0x12 == 0x02
    if fresh and source == door and to in seen:
        seen[to][1].append(time.monotonic())
print(json.dumps({name: times for name, times in seen.values()}))
"""
"""Notes when the front door opens connections to each colour: that is what its checks do."""

COMMANDS: Mapping[str, str] = (
    {"checks": f"python3 - <<'PYTHON'\n{_WATCH % WATCHED}PYTHON"}
    | {
        label: f"echo '{command}' | socat -t 5 - {SOCKET}"
        for label, command in {
            "info": "show info",
            "stat": "show stat",
            "state": "show servers state connect",
        }.items()
    }
    | {
        "file": f"cat {FILE}",
        "changed": f"stat -c %Y {FILE} && date +%s",
    }
)
"""What takes longest comes first: all else is asked meanwhile."""


_TIMES = TypeAdapter(dict[str, tuple[float, ...]])

_junk = junk("HAProxy's runtime socket", f"ask it on the host: echo 'show stat' | socat - {SOCKET}")


@dataclass(frozen=True)
class Server:
    """One server of a backend as HAProxy has it at run time."""

    name: str
    state: str
    backup: bool
    drained: bool
    check: str
    requests: int

    @property
    def takes_traffic(self) -> bool:
        """Whether new requests may go to it, as far as it alone is concerned."""
        return self.state.startswith("UP") and not self.drained


@dataclass(frozen=True)
class HaproxyFacts:
    """The running HAProxy. `servers` are those of the backend `connect`, by name."""

    info: Mapping[str, str]
    servers: Mapping[str, Server]
    lines: tuple[str, ...]
    changed: int
    read: int
    outputs: Mapping[str, Output]

    @property
    def serving(self) -> str:
        """The server that new requests go to: the active one that takes traffic, else the backup.

        Empty when there is none.
        """
        ready = [one for one in self.servers.values() if one.takes_traffic]
        return next((one.name for one in sorted(ready, key=lambda one: one.backup)), "")

    @cached_property
    def intervals(self) -> Mapping[str, tuple[float, ...]]:
        """Seconds between the checks of each server, as they went over the network."""
        times = read_json(self.outputs["checks"], _TIMES, "the connections to both colours")
        return {name: tuple(b - a for a, b in pairwise(seen)) for name, seen in times.items()}

    @cached_property
    def stale(self) -> bool:
        """Whether the file has changed since the running worker has read it."""
        return self.changed > self.read + 1


def parse(outputs: Mapping[str, Output]) -> HaproxyFacts:
    """Read HAProxy's own answers; raises ObservationError on anything else."""
    pairs = (line.partition(": ") for line in outputs["info"].text("show info").splitlines())
    info = {name: value for name, colon, value in pairs if colon}
    times = outputs["changed"].text(FILE).split()
    if "Uptime_sec" not in info or len(times) != 2:
        raise _junk("Uptime_sec in `show info`", str(info)[:80])
    return HaproxyFacts(
        info=info,
        servers=_servers(outputs),
        lines=tuple(line.strip() for line in outputs["file"].text(FILE).splitlines()),
        changed=_number(times[0]),
        read=_number(times[1]) - _number(info["Uptime_sec"]),
        outputs=outputs,
    )


def _servers(outputs: Mapping[str, Output]) -> Mapping[str, Server]:
    drained = _drained(outputs["state"].text("show servers state"))
    text = outputs["stat"].text("show stat").removeprefix("# ")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        if row.get("pxname") != "connect" or row.get("svname") in ("BACKEND", "FRONTEND"):
            continue
        name = str(row.get("svname"))
        if name not in drained:
            raise _junk("the state of each server", name)
        found[name] = Server(
            name=name,
            state=str(row.get("status")),
            backup=row.get("bck") == "1",
            drained=drained[name],
            check=str(row.get("check_status")),
            requests=_number(str(row.get("stot"))),
        )
    if not found:
        raise _junk("servers of the backend connect", text[:80])
    return found


def _drained(text: str) -> Mapping[str, bool]:
    header = next((line for line in text.splitlines() if line.startswith("# be_id")), "")
    names = header.removeprefix("# ").split()
    rows = [line.split() for line in text.splitlines() if line and line[0].isdigit()]
    states = [dict(zip(names, row, strict=False)) for row in rows if len(row) == len(names)]
    return {one["srv_name"]: bool(_number(one["srv_admin_state"]) & DRAINED) for one in states}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _junk("a number", text[:80])
    return int(text)
