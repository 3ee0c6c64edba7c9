"""Lab hosts: booted, reachable over SSH, rebooted, snapshotted, and gone without a trace."""

import fcntl
import hashlib
import subprocess
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import docker
from docker.models.containers import Container
from docker.models.networks import Network

from connect_infra.document.values import GIB
from connect_infra.errors import LabError
from connect_infra.lab import engine, image
from connect_infra.lab.engine import Progress
from connect_infra.targets import Guards, Target, generate_secrets
from connect_infra.targets.lab import state_dir, target_file, write_targets

MEMORY_BYTES = 8 * GIB
"""The memory of a lab host; every memory size of the document scales with it."""

BOOT_LIMIT = 90
"""Seconds until a host must have booted, on a machine that is busy."""

LABEL = "connect-infra.lab"


def silent(message: str) -> None:
    """Progress that nobody reads."""


class LabHost:
    """One running lab host."""

    def __init__(self, lab: "Lab", container: Container) -> None:
        """Wrap a container of `lab`."""
        self.lab = lab
        self.container = container

    @property
    def name(self) -> str:
        """The host's name within its lab."""
        return str(self.container.labels["connect-infra.host"])

    @property
    def target_name(self) -> str:
        """The host's name as a target: lab for the main one, lab-NAME for others."""
        return "lab" if self.name == "main" else f"lab-{self.name}"

    @property
    def running(self) -> bool:
        """Whether the host runs."""
        self.container.reload()
        return bool(self.container.status == "running")

    @property
    def address(self) -> str:
        """The host's address on the lab's network."""
        self.container.reload()
        networks = self.container.attrs["NetworkSettings"]["Networks"]
        return str(networks[self.lab.network_name]["IPAddress"])

    def exec(self, script: str, limit: int = 60) -> tuple[int, str]:
        """Run a shell script as root through the engine: the way in when SSH is not one."""
        command = ["timeout", str(limit), "/bin/sh", "-c", script]
        code, output = self.container.exec_run(command)
        assert isinstance(output, bytes)  # an iterator only where a stream is asked for
        return int(code or 0), output.decode(errors="backslashreplace")

    def target(self) -> Target:
        """The host as a target: over SSH as user connect, with the lab's key."""
        state = self.lab.state
        return Target(
            name=self.target_name,
            host=self.address,
            key=state / "id_ed25519",
            known_hosts=self._known_hosts(),
            sizing="scaled",
            memory=MEMORY_BYTES,
            lab=True,
            secrets=state / "secrets.toml",
            guards=Guards(intrusive=True, load=True, drills=True),
        )

    def reboot(self) -> None:
        """Shut the host down in order and boot it again."""
        self.container.kill(signal="SIGRTMIN+3")
        self.container.wait(timeout=BOOT_LIMIT)
        self.container.start()
        self.booted()

    def remove(self) -> None:
        """Take the host away, with everything on it."""
        with suppress(docker.errors.NotFound):
            self.container.remove(force=True, v=True)

    def booted(self) -> None:
        """Wait until systemd says `running` and SSH answers; LabError when that takes too long."""
        deadline = time.monotonic() + BOOT_LIMIT
        state = "not started"
        while time.monotonic() < deadline:
            _, output = self.exec("systemctl is-system-running; ls /etc/ssh/*ed25519_key.pub", 15)
            state = output.strip().splitlines()[0] if output.strip() else "no answer"
            if state == "running" and "ed25519_key.pub" in output:
                self._let_in()
                return
            if state == "degraded":
                _, state = self.exec("systemctl --failed --plain --no-legend --no-pager")
                break
            time.sleep(0.2)
        raise LabError(
            expected=f"a host that is `running` within {BOOT_LIMIT} s",
            found=state,
            where=f"lab host {self.name}",
            remedy="look with `connect-infra lab shell`, or run: connect-infra lab reset",
        )

    def _let_in(self) -> None:
        """Put the lab's key into the host, and the host's key into the lab's known_hosts."""
        home = "/home/connect"
        public = (self.lab.state / "id_ed25519.pub").read_bytes()
        self.exec(f"install -d -m 700 -o connect -g connect {home}/.ssh")
        self.container.put_archive(
            f"{home}/.ssh", image.file_in_tar("authorized_keys", public, 0o600)
        )
        self.exec(f"chown -R connect:connect {home}/.ssh")
        _, key = self.exec("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
        self._known_hosts().write_text(f"{self.address} {key.strip()}\n")

    def _known_hosts(self) -> Path:
        return self.lab.state / f"known_hosts.{self.name}"


class Lab:
    """All lab hosts that share one state directory, with their network and images."""

    def __init__(self, progress: Progress = silent) -> None:
        """Keep keys, secrets and addresses in the lab's state directory (made, mode 700)."""
        self.state = state_dir().absolute()
        self.state.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o700)
        self.id = hashlib.sha256(str(self.state).encode()).hexdigest()[:8]
        self.network_name = f"connect-infra-{self.id}"
        self.progress = progress
        self.client = engine.ensure(self.state, progress)

    def up(self, name: str = "main", snapshot: str | None = None) -> LabHost:
        """Return a booted host, the one that runs or a new one; killed half-way, run it again."""
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            base = snapshot or image.ensure(self.client, self.progress)
            self._prepare()
            host = self.find(name)
            if host is not None and not host.running:
                host.remove()
                host = None
            if host is None:
                self.progress(f"booting host {name}")
                host = self._boot(name, base)
            host.booted()
            write_targets(each.target() for each in self.hosts() if each.running)
        return host

    def find(self, name: str) -> LabHost | None:
        """The host of that name, or None."""
        return next((host for host in self.hosts() if host.name == name), None)

    def hosts(self) -> list[LabHost]:
        """All hosts of this lab, running or not."""
        label = f"{LABEL}={self.id}"
        found = self.client.containers.list(all=True, filters={"label": label})
        return sorted((LabHost(self, one) for one in found), key=lambda host: host.name)

    def snapshot(self, host: LabHost, key: str) -> str:
        """Keep a host as an image for later starts; return the image's tag."""
        host.exec(
            "systemctl stop ssh; sync; rm -f /etc/ssh/ssh_host_*; truncate -s0 /etc/machine-id"
        )
        tag = self._snapshot_tag(key)
        repository, version = tag.split(":")
        host.container.commit(
            repository=repository, tag=version, changes=[f"LABEL {LABEL}={self.id}"]
        )
        host.remove()
        return tag

    def find_snapshot(self, key: str) -> str | None:
        """The tag of a snapshot that was kept under `key`, or None."""
        try:
            self.client.images.get(self._snapshot_tag(key))
        except docker.errors.ImageNotFound:
            return None
        return self._snapshot_tag(key)

    def down(self, *, images: bool = False) -> None:
        """Remove all hosts and the network; with `images` the snapshots and the base image too."""
        for host in self.hosts():
            host.remove()
        for network in self.client.networks.list(names=[self.network_name]):
            network.remove()
        for leftover in [target_file(), *self.state.glob("known_hosts.*")]:
            leftover.unlink(missing_ok=True)
        if images:
            label = f"{LABEL}={self.id}"
            for kept in self.client.images.list(filters={"label": label}):
                self.client.images.remove(str(kept.id), force=True)
            self._remove_base_image()

    def _remove_base_image(self) -> None:
        """Remove the base image, unless another lab's hosts still run on it."""
        try:
            self.client.images.remove(image.tag())
        except docker.errors.ImageNotFound:
            self.progress("no base image to remove")
        except docker.errors.APIError as problem:
            if problem.status_code != HTTPStatus.CONFLICT:
                raise
            self.progress("the base image stays: another lab uses it")

    def _snapshot_tag(self, key: str) -> str:
        return f"connect-infra/snapshot-{self.id}:{key}"

    def _prepare(self) -> None:
        key = self.state / "id_ed25519"
        if not key.exists() or not key.with_suffix(".pub").exists():
            key.unlink(missing_ok=True)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)]
            subprocess.run(command, check=True)
        generate_secrets(self.state / "secrets.toml")
        if not self.client.networks.list(names=[f"^{self.network_name}$"]):
            self._create_network()

    def _create_network(self) -> Network:
        """An internal network: its hosts reach each other and this machine, and nothing else."""
        return self.client.networks.create(
            self.network_name, driver="bridge", internal=True, labels={LABEL: self.id}
        )

    def _boot(self, name: str, base: str) -> LabHost:
        api = self.client.api
        cgroups = engine.cgroup_options(self.client)
        host_config = api.create_host_config(
            network_mode=self.network_name,
            cap_add=["ALL"],
            cap_drop=["SYS_RESOURCE"],  # withheld by some kernels, and then nothing starts
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            tmpfs={"/run": "", "/run/lock": "", "/tmp": "exec"},
            mem_limit=MEMORY_BYTES,
            ulimits=[docker.types.Ulimit(name="nofile", soft=1024, hard=20000)],
            binds=cgroups["binds"],
        )
        host_config |= {"CgroupnsMode": cgroups["namespace"]}
        host_config |= {"MaskedPaths": [], "ReadonlyPaths": []}  # systemd writes below /proc/sys
        made = api.create_container(
            base,
            "/sbin/init",
            name=f"{self.network_name}-{name}",
            hostname=name,
            labels={LABEL: self.id, "connect-infra.host": name},
            environment={"container": "docker"},
            host_config=host_config,
        )
        container = self.client.containers.get(made["Id"])
        container.start()
        return LabHost(self, container)
