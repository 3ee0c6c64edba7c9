"""The lab's base image: a bare Debian with systemd and sshd, and every package it may install.

There is no registry to pull from, so the image is made by debootstrap. Hosts can't reach any
network, so all packages that provisioning installs lie in an apt archive inside the image.
"""

import fcntl
import hashlib
import io
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from importlib import resources
from pathlib import Path

import docker

from connect_infra.document.values import GIB
from connect_infra.errors import LabError
from connect_infra.lab import npm
from connect_infra.lab.engine import SYSTEM_PATH, Progress

SUITE = "bookworm"
REPOSITORY = "connect-infra/base"
ARCHIVE = "/opt/connect-archive"
ON_HOST = f"{ARCHIVE}/base-image"
"""Where a Docker host of the lab finds this image, as `docker save` writes it."""

WORK = "connect-infra-image"

BUILD_BYTES = 3 * GIB // 2
"""Disk that a build takes at most: the tree with its archive, and apt's and npm's own."""

DEBIAN_FIRST = "Package: *\nPin: release o=Debian\nPin-Priority: 990\n"
"""What Debian has comes from Debian, whatever other sources this machine has."""

BASE_PACKAGES = (
    "ca-certificates", "dbus", "iproute2", "iptables", "openssh-server", "procps", "python3",
    "sudo", "systemd", "systemd-sysv",
)  # fmt: skip
"""What a minimal server has before anybody has provisioned it."""

FIRST_BOOT_UNIT = """\
[Unit]
Description=Make this host's SSH keys
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A
[Install]
WantedBy=multi-user.target
"""

UNNEEDED_UNITS = (
    "systemd-udevd.service", "systemd-udev-trigger.service", "getty.target",
    "console-getty.service",
    "systemd-networkd-wait-online.service", "systemd-timesyncd.service", "apt-daily.timer",
    "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
)  # fmt: skip
"""Units that a host without devices, consoles and a network can't or needn't run."""


def packages() -> list[str]:
    """The Debian packages that a lab host can install."""
    text = resources.files(__package__).joinpath("packages.txt").read_text()
    return text.split()


def tag() -> str:
    """The image's name, with a hash of everything that decides what is in it."""
    source = Path(__file__).read_bytes() + Path(npm.__file__).read_bytes()
    source += "\n".join(packages()).encode()
    return f"{REPOSITORY}:{hashlib.sha256(source).hexdigest()[:16]}"


def ensure(client: docker.DockerClient, progress: Progress) -> str:
    """Return the base image's tag; build the image when the engine lacks it."""
    if _has_image(client):
        return tag()
    if os.geteuid() != 0:
        raise LabError(
            expected="root, because debootstrap needs it",
            found=f"uid {os.geteuid()}",
            where="base image",
            remedy="run as root: connect-infra lab up (later starts need only the engine)",
        )
    with (_workshop() / f"{WORK}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("base image: waiting for another build of it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not _has_image(client):
            _build(client, progress)
    return tag()


def _has_image(client: docker.DockerClient) -> bool:
    try:
        client.images.get(tag())
    except docker.errors.ImageNotFound:
        return False
    return True


def _workshop() -> Path:
    return Path(tempfile.gettempdir())


def _require_room(workshop: Path) -> None:
    """A disk that fills up makes debootstrap end with a line that names something else."""
    free = shutil.disk_usage(workshop).free
    if free < BUILD_BYTES:
        raise LabError(
            expected=f"{BUILD_BYTES / GIB:.1f} GiB free to build in",
            found=f"{free / GIB:.1f} GiB",
            where=str(workshop),
            remedy="make room, or set TMPDIR to a directory with more",
        )


def _build(client: docker.DockerClient, progress: Progress) -> None:
    for left in _workshop().glob(f"{WORK}-*"):  # by a build that was killed
        shutil.rmtree(left)
    _require_room(_workshop())
    with tempfile.TemporaryDirectory(prefix=f"{WORK}-", dir=_workshop()) as work:
        root = Path(work, "root")
        root.mkdir()
        progress("base image: reading this machine's apt sources")
        _refresh(progress)
        progress("base image: debootstrap")
        _run("debootstrap", "--variant=minbase", "--include=" + ",".join(BASE_PACKAGES), SUITE,
             str(root), _mirror(), proxy=_proxy())  # fmt: skip
        progress("base image: downloading the packages that hosts may install")
        _fill_archive(root)
        progress("base image: importing")
        _settle(root)
        _import(client, root)


def _run(*command: str, proxy: str = "") -> str:
    """Run a program; LabError when it fails.

    Its mounts and processes end with it, and it ends with us, however we are killed.
    """
    alone = (
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--mount", "--pid", "--fork", "--kill-child",
    )  # fmt: skip
    if shutil.which(command[0], path=SYSTEM_PATH) is None:
        raise _failed(command[0], "no such program", f"apt-get install {command[0]}")
    environment = {**os.environ, "PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"}
    if proxy:
        environment["http_proxy"] = proxy
    done = subprocess.run(
        [*alone, *command], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        found = said[-1] if said else f"exit code {done.returncode}"
        raise _failed(command[0], found, "mend that and run the command again")
    return done.stdout


def _failed(program: str, found: str, remedy: str) -> LabError:
    return LabError(
        expected=f"`{program}` to succeed",
        found=found,
        where="base image",
        remedy=f"{remedy}; nothing half-built is kept",
    )


def _refresh(progress: Progress) -> None:
    """Renew apt's lists; a source that doesn't answer is named, the others still serve."""
    try:
        _run("apt-get", "-qq", "update")
    except LabError as problem:
        progress(f"base image: apt-get update said: {problem.found}")


def _proxy() -> str:
    """The proxy that apt is told to use; debootstrap doesn't look there."""
    said = _run("apt-config", "shell", "proxy", "Acquire::http::Proxy")
    return "".join(part.removeprefix("proxy=") for part in shlex.split(said))


def _mirror() -> str:
    """The Debian mirror that this machine itself uses."""
    lines = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)",
        "Created-By: Packages", "Origin: Debian",
    )  # fmt: skip
    for line in lines.splitlines():
        uri, codename = line.split()
        if codename == SUITE:
            return uri
    raise LabError(
        expected=f"an apt source of Debian {SUITE}",
        found="none",
        where="this machine's apt sources",
        remedy="add one and run apt-get update",
    )


def _fill_archive(root: Path) -> None:
    archive = root / ARCHIVE.lstrip("/")
    (archive / "partial").mkdir(parents=True)
    preferences = root.parent / "preferences"
    preferences.write_text(DEBIAN_FIRST)
    _run(
        "apt-get", "-o", f"Dir::State::status={root}/var/lib/dpkg/status",
        "-o", f"Dir::Cache::archives={archive}", "-o", "APT::Install-Recommends=false",
        "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1",
        "-o", f"Dir::Etc::Preferences={preferences}", "-o", "Dir::Etc::PreferencesParts=/dev/null",
        "--download-only", "--yes", "install", *packages(),
    )  # fmt: skip
    shutil.rmtree(archive / "partial")
    (archive / "lock").unlink(missing_ok=True)
    npm.fill(archive / "npm")
    (archive / "Packages").write_text(
        "\n".join(_index(deb) for deb in sorted(archive.glob("*.deb")))
    )
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{ARCHIVE} ./\n")
    for cached in (root / "var/lib/apt/lists", root / "var/cache/apt/archives"):
        shutil.rmtree(cached)
        (cached / "partial").mkdir(parents=True)
    _run("chroot", str(root), "apt-get", "update")


def _index(deb: Path) -> str:
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    fields = _run("dpkg-deb", "--field", str(deb))
    size = deb.stat().st_size
    return f"{fields.rstrip()}\nFilename: ./{deb.name}\nSize: {size}\nSHA256: {digest}\n"


def _settle(root: Path) -> None:
    """Make the tree a bare server: a login user, its own keys at first boot, nothing of ours."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for leftover in (
        "var/log/bootstrap.log",
        "var/lib/dbus/machine-id",
        "etc/hostname",
        "etc/resolv.conf",
    ):
        (root / leftover).unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")
    (root / "etc/systemd/system/lab-ssh-keys.service").write_text(FIRST_BOOT_UNIT)
    (root / "etc/sudoers.d/connect").write_text("connect ALL=(ALL) NOPASSWD: ALL\n")
    (root / "etc/sudoers.d/connect").chmod(0o440)
    inside = ("chroot", str(root))
    _run(*inside, "useradd", "--create-home", "--shell", "/bin/bash", "connect")
    _run(*inside, "usermod", "--password", "*", "connect")
    _run(*inside, "systemctl", "enable", "lab-ssh-keys.service", "ssh.service")
    _run(*inside, "systemctl", "mask", *UNNEEDED_UNITS)
    _run(*inside, "systemctl", "set-default", "multi-user.target")


def _import(client: docker.DockerClient, root: Path) -> None:
    packed = root.parent / "root.tar"
    _run("tar", "--numeric-owner", "-C", str(root), "-cf", str(packed), ".")
    name, version = tag().split(":")
    client.api.import_image_from_file(
        str(packed), repository=name, tag=version, changes=['CMD ["/sbin/init"]']
    )
    client.images.get(tag())


def file_in_tar(name: str, content: bytes, mode: int, uid: int = 0) -> bytes:
    """A tar archive that holds one file, as the engine takes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.uid, info.gid = len(content), mode, uid, uid
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
