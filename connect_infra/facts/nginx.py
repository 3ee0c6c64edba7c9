"""What nginx runs with: its configuration as it loads it, and proof that it did load it.

`nginx -T` reads the disk again, so it alone proves nothing about the running daemon. The age of the
workers does: a reload starts new ones, so workers older than the last change of a file or of its
directory have not seen it. It is the change time that counts: who puts a file back as it was, after
nginx has loaded another, can set the time of writing but not that one.
"""

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

import crossplane

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "nginx"

# Every nginx process: when it started (seconds of the epoch), as whom, with how many files.
_PROCESSES = r"""
import json, os, pathlib, pwd, re, time
booted = time.time() - float(pathlib.Path("/proc/uptime").read_text().split()[0])
tick = os.sysconf("SC_CLK_TCK")
found = []
for directory in pathlib.Path("/proc").iterdir():
    if not directory.name.isdigit():
        continue
    try:
        title = (directory / "cmdline").read_text().replace("\0", " ").strip()
        if not title.startswith("nginx: "):
            continue
        fields = (directory / "stat").read_text().rsplit(")", 1)[1].split()
        limits = (directory / "limits").read_text()
        user = pwd.getpwuid(directory.stat().st_uid).pw_name
    except (FileNotFoundError, ProcessLookupError):
        continue
    files = re.search(r"Max open files\s+(\d+)", limits).group(1)
    found.append({"pid": int(directory.name), "title": title, "user": user,
                  "started": booted + int(fields[19]) / tick, "open_files": int(files)})
print(json.dumps(found))
"""

_FILES = "nginx -T 2>/dev/null | sed -n 's/^# configuration file \\(.*\\):$/\\1/p'"

COMMANDS: Mapping[str, str] = {
    "configuration": "nginx -T",
    "version": "nginx -v 2>&1",
    "processes": f"python3 -c {shlex.quote(_PROCESSES)}",
    "files": f"{{ {_FILES}; {_FILES} | sed 's#/[^/]*$##' | sort -u; }} | "
    "xargs -d '\\n' stat -L -c '%.Z %n'",
}

_MARK = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_VERSION = re.compile(r"nginx/(\d+(?:\.\d+)+)")
_CHANGED = re.compile(r"(\d{1,12}\.\d{1,9}) (/.+)")
# Start times come in clock ticks (10 ms), so a start may look this much too early.
_TICK = 0.05
_MASTER = "nginx: master process "

Block = tuple["Directive", ...]


@dataclass(frozen=True)
class Directive:
    """One directive as nginx reads it: quotes resolved, includes followed."""

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    block: Block = ()


@dataclass(frozen=True)
class Process:
    """One nginx process; `started` in seconds of the epoch, `open_files` its soft limit."""

    pid: int
    title: str
    user: str
    started: float
    open_files: int


@dataclass(frozen=True)
class NginxFacts:
    """nginx as it is loaded. `files`: seconds of the epoch when each was last changed."""

    main: Block
    version: str
    processes: tuple[Process, ...]
    files: Mapping[str, float]

    @property
    def workers(self) -> tuple[Process, ...]:
        """The workers that take new connections; ObservationError when there is none."""
        serving = tuple(p for p in self.processes if p.title == "nginx: worker process")
        if not serving:
            raise _unusable("running workers", "none", "start nginx on the host")
        return serving

    @property
    def started_with(self) -> str:
        """The master's command line; ObservationError when there is none, or several."""
        masters = [p.title for p in self.processes if p.title.startswith(_MASTER)]
        if len(masters) != 1:
            found = f"{len(masters)} of them"
            raise _unusable("one master process", found, "see systemctl status nginx on the host")
        return masters[0].removeprefix(_MASTER)

    @property
    def unloaded_files(self) -> tuple[str, ...]:
        """Files and directories that were changed after the oldest worker started."""
        oldest = min(worker.started for worker in self.workers)
        return tuple(sorted(n for n, changed in self.files.items() if changed > oldest + _TICK))

    def server(self, port: str) -> Block:
        """The block of the one server that listens on `port`; ObservationError if not one."""
        servers = [
            server.block
            for http in _named(self.main, "http")
            for server in _named(http.block, "server")
            if any(_listens(listen, port) for listen in _named(server.block, "listen"))
        ]
        if len(servers) != 1:
            found = f"{len(servers)} of them"
            raise _unusable(f"one server on port {port}", found, "see nginx -T on the host")
        return servers[0]


def _listens(listen: Directive, port: str) -> bool:
    """Whether it is a `listen` on the port, on all addresses or on one."""
    return any(arg == port or arg.endswith(f":{port}") for arg in listen.args)


def find(block: Block, path: str) -> tuple[Directive, ...]:
    """All directives at a path in the spelling of the documents' data.

    `http > upstream connect_backend > keepalive`: blocks by name and arguments, then a directive.
    `add_header[X-Frame-Options]`: the one of that name for that header, format or zone.
    """
    *blocks, last = path.split(" > ")
    for step in blocks:
        name, *args = step.split()
        inner = [directive for directive in _named(block, name) if [*directive.args] == args]
        block = tuple(directive for outer in inner for directive in outer.block)
    name, key = _split_key(last)
    return tuple(d for d in _named(block, name) if key is None or _is_for(d, key))


def values(block: Block, path: str) -> tuple[tuple[str, ...], ...]:
    """The arguments of every directive at a path, without the one that is the path's key."""
    _, key = _split_key(path.rsplit(" > ", 1)[-1])
    return tuple(
        directive.args[1:] if directive.args[:1] == (key,) else directive.args
        for directive in find(block, path)
    )


def parse(outputs: Mapping[str, Output]) -> NginxFacts:
    """Facts from the commands' outputs.

    Raises:
        ObservationError: nginx is missing, refuses its configuration, or the output is junk.
    """
    return NginxFacts(
        main=configuration(outputs["configuration"].text("nginx -T")),
        version=_version(outputs["version"].text("nginx -v")),
        processes=_processes(outputs["processes"].text("nginx' processes")),
        files=_files(outputs["files"].text("the files that nginx -T names")),
    )


def configuration(dump: str) -> Block:
    """The configuration that `nginx -T` dumped, with included files in their place.

    Raises:
        ObservationError: no file in it, or a file that does not parse.
    """
    parts = _MARK.split(dump)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    if not texts:
        raise _unusable("the files of a configuration", repr(dump[:80]), "run nginx -T")
    files = {name: _directives(name, text) for name, text in texts.items()}
    return _with_includes(next(iter(files.values())), files)


def _directives(name: str, text: str) -> Block:
    # Included files are judged alone, so what may stand where is nginx' own business (-T exits 1).
    payload = crossplane.parse_string(text, filename=name, single=True, check_ctx=False)
    if payload["status"] != "ok":
        problem = payload["errors"][0]["error"]
        raise _unusable(f"{name} to parse", problem, "correct the file, then nginx -t")
    return _block(name, payload["config"][0]["parsed"])


def _block(file: str, statements: list[dict[str, Any]]) -> Block:
    return tuple(
        Directive(
            name=statement["directive"],
            args=tuple(statement["args"]),
            file=file,
            line=statement["line"],
            block=_block(file, statement.get("block", [])),
        )
        for statement in statements
    )


def _with_includes(block: Block, files: Mapping[str, Block]) -> Block:
    result: list[Directive] = []
    for directive in block:
        result.append(replace(directive, block=_with_includes(directive.block, files)))
        if directive.name == "include":
            # nginx resolves relative patterns from the directory of the main file.
            pattern = posixpath.join(posixpath.dirname(next(iter(files))), directive.args[0])
            for name in sorted(name for name in files if fnmatch(name, pattern)):
                result.extend(_with_includes(files[name], files))
    return tuple(result)


def _named(block: Block, name: str) -> Iterator[Directive]:
    return (directive for directive in block if directive.name == name)


def _split_key(step: str) -> tuple[str, str | None]:
    name, bracket, key = step.partition("[")
    return name, key.removesuffix("]") if bracket else None


def _is_for(directive: Directive, key: str) -> bool:
    zone = f"zone={key}:"
    return directive.args[:1] == (key,) or any(arg.startswith(zone) for arg in directive.args)


def _version(text: str) -> str:
    match = _VERSION.search(text)
    if match is None:
        raise _unusable("nginx/<version>", repr(text[:80]), "run nginx -v on the host")
    return match[1]


def _processes(text: str) -> tuple[Process, ...]:
    try:
        return tuple(
            Process(
                pid=int(item["pid"]),
                title=str(item["title"]),
                user=str(item["user"]),
                started=float(item["started"]),
                open_files=int(item["open_files"]),
            )
            for item in json.loads(text)
        )
    except (ValueError, TypeError, KeyError, OverflowError) as problem:
        remedy = "see whether python3 and /proc are usable on the host"
        raise _unusable("a list of processes", repr(text[:80]), remedy) from problem


def _files(text: str) -> Mapping[str, float]:
    lines = [_CHANGED.fullmatch(line) for line in text.splitlines()]
    if not all(lines):
        raise _unusable("times and file names", repr(text[:80]), "see stat on the host")
    return {line[2]: float(line[1]) for line in lines if line is not None}


def _unusable(expected: str, found: str, remedy: str) -> ObservationError:
    return ObservationError(expected=expected, found=found, where=NAME, remedy=remedy)
