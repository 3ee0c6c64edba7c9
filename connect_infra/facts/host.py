"""The machine: system, kernel, processors, memory, disks, network, packages, listening ports."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.facts.base import Output, junk

NAME = "host"

PACKAGES = (
    "postgresql-15",
    "postgresql-client-15",
    "postgresql-contrib-15",
    "postgresql-contrib",
    "pgbouncer",
    "redis-server",
    "pgbackrest",
    "cron",
    "nginx",
    "fail2ban",
    "ufw",
    "openssh-server",
    "nodejs",
    "prometheus",
)

COMMANDS: Mapping[str, str] = {
    "os": "cat /etc/os-release",
    "machine": "uname -rm && nproc --all && "
    "grep -m 1 '^model name' /proc/cpuinfo && "
    "awk '/^core id/ {core=$4} /^physical id/ {socket=$4} "
    '/^$/ {seen[socket "/" core]=1} END {print length(seen)}\' /proc/cpuinfo && '
    "grep ^MemTotal /proc/meminfo",
    "disks": 'for disk in /sys/block/*; do [ -e "$disk/size" ] || continue; '
    'printf "%s %s %s\\n" "${disk##*/}" "$(cat "$disk/size")" '
    '"$(cat "$disk/queue/rotational")"; done; echo end',
    "links": "for link in /sys/class/net/*; do "
    'printf "%s %s\\n" "${link##*/}" "$(cat "$link/speed" 2>/dev/null || echo -1)"; done',
    # dpkg-query ends with 1 when one of the packages is unknown; what it prints is the answer.
    "packages": "dpkg-query -W -f '${Package} ${db:Status-Status} ${Version} ${Provides}\\n' "
    f"{' '.join(PACKAGES)} 2>/dev/null; test $? -le 1",
    "listening": "ss -Hltnp",
}

_LISTEN = re.compile(r"LISTEN\s+\d+\s+\d+\s+(\S+):(\d{1,5})\s+\S+(?:\s+users:\((.*)\))?\s*")
_PROCESS = re.compile(r'\("([^"]*)",pid=(\d{1,10})')
_SECTOR = 512
_KIB = 1024
_MAX_DIGITS = 19

_junk = junk("the host", "see whether the host's own tools answer there")


@dataclass(frozen=True)
class Disk:
    """A block device and its size in bytes."""

    name: str
    size: int
    rotational: bool


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket and the processes that hold it (name, pid)."""

    address: str
    port: int
    processes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class HostFacts:
    """The machine as it is. `memory` is in bytes; a link's speed in Mbit/s, -1 if unknown."""

    os: Mapping[str, str]
    kernel: str
    architecture: str
    threads: int
    cores: int
    processor: str
    memory: int
    disks: tuple[Disk, ...]
    links: Mapping[str, int]
    packages: Mapping[str, str]
    listening: tuple[Listener, ...]

    def listeners(self, port: int) -> tuple[Listener, ...]:
        """Return the sockets that listen on a TCP port."""
        return tuple(one for one in self.listening if one.port == port)


def parse(outputs: Mapping[str, Output]) -> HostFacts:
    """Read the machine's own files and tools; raises ObservationError on anything else."""
    kernel, architecture, threads, processor, cores, memory = _machine(outputs)
    return HostFacts(
        os=_os_release(outputs["os"].text("/etc/os-release")),
        kernel=kernel,
        architecture=architecture,
        threads=threads,
        cores=cores,
        processor=processor,
        memory=memory,
        disks=_disks(outputs["disks"].text("/sys/block")),
        links=_links(outputs["links"].text("/sys/class/net")),
        packages=_packages(outputs["packages"].text("dpkg-query")),
        listening=_listening(outputs["listening"].text("ss -ltnp")),
    )


def _machine(outputs: Mapping[str, Output]) -> tuple[str, str, int, str, int, int]:
    lines = outputs["machine"].text("uname, nproc, /proc/cpuinfo and /proc/meminfo").splitlines()
    if len(lines) != 5:
        raise _junk("five lines on kernel, processors and memory", str(lines[:5]))
    system = lines[0].split()
    memory = lines[4].split()
    if len(system) != 2 or len(memory) != 3 or memory[2] != "kB":
        raise _junk("kernel and architecture, MemTotal in kB", f"{lines[0]} {lines[4]}")
    processor = lines[2].partition(":")[2].strip()
    return (
        *(system[0], system[1], _count(lines[1]), processor),
        *(_count(lines[3]), _count(memory[1]) * _KIB),
    )


def _os_release(text: str) -> Mapping[str, str]:
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
    values = {key: value.strip("\"'") for key, _, value in pairs}
    if "ID" not in values or "VERSION_ID" not in values:
        raise _junk("ID and VERSION_ID in /etc/os-release", text[:80])
    return values


def _disks(text: str) -> tuple[Disk, ...]:
    *lines, end = text.splitlines()
    rows = [line.split() for line in lines]
    if end != "end" or any(len(row) != 3 for row in rows):
        raise _junk("name, size and kind of each disk", text[:80])
    return tuple(Disk(name, _count(size) * _SECTOR, turns == "1") for name, size, turns in rows)


def _links(text: str) -> Mapping[str, int]:
    rows = [line.split() for line in text.splitlines()]
    if any(len(row) != 2 for row in rows):
        raise _junk("name and speed of each network link", text[:80])
    return {name: -1 if speed == "-1" else _count(speed) for name, speed in rows}


def _packages(text: str) -> Mapping[str, str]:
    versions: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(" ", 3)
        if len(words) < 3:
            raise _junk("name, status and version of a package", line[:80])
        name, status, version = words[:3]
        if status == "installed":
            versions[name] = version
            provided = re.findall(r"[a-z0-9][a-z0-9.+-]+(?= |,|$)", " ".join(words[3:]))
            versions.update({other: version for other in provided if other in PACKAGES})
    return versions


def _listening(text: str) -> tuple[Listener, ...]:
    found = []
    for line in text.splitlines():
        match = _LISTEN.fullmatch(line)
        if match is None:
            raise _junk("a listening socket", line[:80])
        processes = tuple((name, int(pid)) for name, pid in _PROCESS.findall(match[3] or ""))
        found.append(Listener(match[1].strip("[]"), int(match[2]), processes))
    return tuple(found)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise _junk("a count", text[:80])
    return int(text)
