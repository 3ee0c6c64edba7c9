"""Machines that make load with others: lab hosts with Debian's Python and what a worker needs."""

import io
import re
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
HOME = "/opt/connect-infra"
NEEDED = ("locust", "pydantic", "hdrhistogram")
"""What a generator imports, beside our own."""

UNIT = "load-worker"


def install(host) -> None:
    """Bring the checkout, and of this machine's site-packages those that a worker needs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("loadtests", "connect_infra"):
            tar.add(ROOT / name, f"checkout/{name}", filter=_no_bytecode)
        for path, inside in _packages():
            tar.add(path, f"packages/{inside}")
    host.exec(f"mkdir -p {HOME}")
    host.container.put_archive(HOME, buffer.getvalue())


def start(host, master: str, user: str = "root") -> None:
    """Start a worker on the host, as docs/load.md says; it ends with the run."""
    host.exec(f"systemctl stop {UNIT}")  # one that waits for a run that never began
    code, said = host.exec(
        f"systemd-run --quiet --collect --unit={UNIT} --uid={user} "
        f"--working-directory={HOME}/checkout "
        f"--setenv=PYTHONPATH={HOME}/checkout:{HOME}/packages "
        "/usr/bin/python3 -m locust -f loadtests/locustfile.py --worker "
        f"--master-host {master}"
    )
    assert code == 0, said


def ended(host, limit: int = 20) -> bool:
    """Whether the host's worker ends within so many seconds, if it has not yet."""
    waited = f"timeout {limit} sh -c 'while systemctl -q is-active {UNIT}; do sleep 0.2; done'"
    return host.exec(waited, limit + 5)[0] == 0


def log(host) -> str:
    """What the host's workers have said."""
    return host.exec(f"journalctl -u {UNIT} -o cat --no-pager")[1]


def _packages() -> Iterator[tuple[Path, str]]:
    """The files of all packages that a worker needs, with their places in site-packages."""
    for name in sorted(_closure(NEEDED)):
        for file in metadata.files(name) or []:
            outside = file.parts[0] == ".." or file.suffix == ".pyc"
            if not outside and (path := Path(str(file.locate()))).is_file():
                yield path, str(file)


def _closure(names) -> set[str]:
    found: set[str] = set()
    left = list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found:
            continue
        found.add(name)
        wanted = map(Requirement, metadata.requires(name) or [])
        left += [one.name for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})]
    return found


def _no_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry
