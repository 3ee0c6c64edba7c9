"""Lab hosts: booted, reachable over SSH, rebooted, snapshotted, and gone without a trace."""

import fcntl
import hashlib
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import docker
from docker.models.containers import Container
from docker.models.images import Image
from docker.models.networks import Network

from connect_infra.document import Sizing, Topology
from connect_infra.document.values import GIB
from connect_infra.errors import LabError
from connect_infra.lab import engine, image
from connect_infra.lab.engine import Progress
from connect_infra.targets import Guards, Target, generate_secrets
from connect_infra.targets.lab import state_dir, target_file, write_targets

MEMORY_BYTES = 8 * GIB
"""The memory of a lab host; every memory size of the document scales with it."""

BOOT_LIMIT = 90
"""Seconds until a host must have booted, or shut down, on a machine that is busy."""

SNAPSHOTS_KEPT = 3
"""How many snapshots a lab keeps; the oldest go first."""

SECRETS: Mapping[Topology, str] = {
    "native": "secrets.toml",
    "containers": "secrets-containers.toml",
}
"""The files of a lab's secrets, in its directory."""

LOOP_DEVICES = ["b 7:* rwm", "c 10:237 rwm"]
"""Loop devices and their control: drills put data on a disk image that they can cut off."""

LABEL = "connect-infra.lab"
HOST_LABEL = "connect-infra.host"
SIZING_LABEL = "connect-infra.sizing"
TOPOLOGY_LABEL = "connect-infra.topology"
SNAPSHOTS = "connect-infra/snapshot-"

HOST_OF: Mapping[Topology, str] = {"native": "main", "containers": "containers"}
"""The name of a lab's first host of each topology: the targets lab and lab-containers."""

ENGINE_DATA = "/var/lib/docker"
"""Where a host's own engine keeps everything: a volume, for overlay2 can't lie on an overlay."""


OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


def _require_overcommit() -> None:
    """The documented 24 GB of shared buffers are more than a small machine's kernel promises."""
    found = OVERCOMMIT.read_text(encoding="ascii").strip()
    if found != "1":
        raise LabError(
            expected="vm.overcommit_memory = 1 for the documented sizes",
            found=found,
            where="this machine's kernel, which its lab hosts share",
            remedy="run: sysctl -w vm.overcommit_memory=1, or leave out --sizing documented",
        )


def silent(message: str) -> None:
    """Progress that nobody reads."""


def _tags(images: Iterable[Image]) -> list[str]:
    return [tag for one in images for tag in one.tags]


def _volume_of_snapshot(tag: str) -> str:
    """Where a Docker host's snapshot keeps what its engine had."""
    return tag.rpartition("/")[2].replace(":", "-")


def _engine_volume(container: Container) -> str:
    (mount,) = [one for one in container.attrs["Mounts"] if one["Destination"] == ENGINE_DATA]
    return str(mount["Name"])


THAW = "docker ps --quiet --filter status=paused | xargs --no-run-if-empty docker unpause"
"""Nothing ends a frozen process, and so nothing a host whose engine has paused a container."""


class LabHost:
    """One running lab host."""

    def __init__(self, lab: "Lab", container: Container) -> None:
        """Wrap a container of `lab`."""
        self.lab = lab
        self.container = container

    @property
    def name(self) -> str:
        """The host's name within its lab."""
        return str(self.container.labels[HOST_LABEL])

    @property
    def target_name(self) -> str:
        """The host's name as a target: lab for the main one, lab-NAME for others."""
        return "lab" if self.name == "main" else f"lab-{self.name}"

    @property
    def sizing(self) -> Sizing:
        """Whether it was booted for the documents' exact sizes or for their share."""
        return "documented" if self.container.labels[SIZING_LABEL] == "documented" else "scaled"

    @property
    def running(self) -> bool:
        """Whether the host runs."""
        self.container.reload()
        return bool(self.container.status == "running")

    @property
    def address(self) -> str:
        """The host's address on the lab's network; empty while it doesn't run."""
        self.container.reload()
        networks = self.container.attrs["NetworkSettings"]["Networks"]
        return str(networks.get(self.lab.network_name, {}).get("IPAddress", ""))

    @engine.reported("lab host")
    def exec(self, script: str, limit: int = 60) -> tuple[int, str]:
        """Run a shell script as root through the engine: the way in when SSH is not one.

        Returns its exit code (124 after `limit` seconds) and what it wrote.
        """
        command = ["timeout", str(limit), "/bin/sh", "-c", script]
        code, output = self.container.exec_run(command)
        assert isinstance(output, bytes)  # an iterator only where a stream is asked for
        return int(code or 0), output.decode(errors="backslashreplace")

    def require(self, sizing: Sizing) -> None:
        """Raise LabError when the host is of another sizing."""
        if self.sizing != sizing:
            raise LabError(
                expected=f"a host of sizing {sizing}",
                found=f"one of sizing {self.sizing} that is up",
                where=f"lab host {self.name}",
                remedy="run: connect-infra lab down, then lab up again",
            )

    @property
    def topology(self) -> Topology:
        """Whether it was booted for native services or as a Docker host."""
        return (
            "containers" if self.container.labels.get(TOPOLOGY_LABEL) == "containers" else "native"
        )

    def target(self) -> Target:
        """The host as a target: over SSH as user connect, with the lab's key."""
        state = self.lab.state
        return Target(
            name=self.target_name,
            topology=self.topology,
            host=self.address,
            key=state / "id_ed25519",
            known_hosts=self._known_hosts(),
            sizing=self.sizing,
            memory=MEMORY_BYTES,
            lab=True,
            secrets=state / SECRETS[self.topology],
            guards=Guards(intrusive=True, load=True, drills=True),
        )

    @engine.reported("lab host")
    def stop(self) -> None:
        """Shut the host down in order; what is on its disk stays."""
        self.container.kill(signal="SIGRTMIN+3")
        self.container.wait(timeout=BOOT_LIMIT)

    @engine.reported("lab host")
    def kill(self) -> None:
        """End everything on the host at once; what the kernel has of its files stays."""
        self.container.kill()
        self.container.wait(timeout=BOOT_LIMIT)

    @engine.reported("lab host")
    def start(self) -> None:
        """Boot the stopped host; its address may be another one then."""
        self.container.start()
        self.booted()
        with self.lab.locked():
            self.lab.publish()

    def reboot(self) -> None:
        """Shut the host down in order and boot it again."""
        self.stop()
        self.start()

    @engine.reported("lab host")
    def remove(self) -> None:
        """Take the host away, with everything on it."""
        with self.lab.locked():
            self.discard()
            self.lab.publish()

    def discard(self) -> None:
        """As `remove`, for who has locked the lab and tells the inventory."""
        with suppress(docker.errors.NotFound):
            if self.topology == "containers" and self.running:
                with suppress(LabError):
                    self.exec(THAW, 20)
            self.container.remove(force=True, v=True)

    @engine.reported("lab host")
    def booted(self) -> None:
        """Wait until systemd says `running` and let the lab's key in; LabError otherwise."""
        deadline = time.monotonic() + BOOT_LIMIT
        state = "not started"
        while self.running and (left := int(deadline - time.monotonic())) > 0:
            _, output = self.exec("systemctl is-system-running --wait", left)
            state = output.strip() or "no answer"
            if state == "running":
                return self._let_in()
            if state == "degraded":
                _, units = self.exec("systemctl --failed --plain --no-legend --no-pager")
                failed = ", ".join(line.split()[0] for line in units.splitlines())
                raise self._unusable(f"failed units: {failed}")
            time.sleep(0.2)
        if not self.running:
            state = f"ended, exit code {self.container.attrs['State']['ExitCode']}"
        raise self._unusable(state)

    def _unusable(self, found: str) -> LabError:
        return LabError(
            expected=f"a host that is `running` within {BOOT_LIMIT} s",
            found=found,
            where=f"lab host {self.name}",
            remedy="look with `connect-infra lab shell`, or run: connect-infra lab reset",
        )

    def _let_in(self) -> None:
        """Put the lab's key into the host, and the host's key into the lab's known_hosts."""
        home = "/home/connect"
        public = (self.lab.state / "id_ed25519.pub").read_bytes()
        self._run(f"install -d -m 700 -o connect -g connect {home}/.ssh")
        self.container.put_archive(
            f"{home}/.ssh", image.file_in_tar("authorized_keys", public, 0o600)
        )
        self._run(f"chown -R connect:connect {home}/.ssh")
        key = self._run("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
        self._known_hosts().write_text(f"{self.address} {key.strip()}\n")

    def _run(self, script: str) -> str:
        code, output = self.exec(script)
        if code != 0:
            raise self._unusable(output.strip() or f"exit code {code} of: {script}")
        return output

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

    @cached_property
    def client(self) -> docker.DockerClient:
        """The engine that answers; LabError when none does. Only `up` starts one."""
        return engine.connect()

    @engine.reported("lab up")
    def up(
        self,
        name: str = "main",
        snapshot: str | None = None,
        sizing: Sizing = "scaled",
        topology: Topology = "native",
    ) -> LabHost:
        """Return a booted host, the one that runs or a new one; killed half-way, run it again.

        A host of topology containers is ready for a Docker engine of its own, and has the base
        image as files, for that engine to build on.

        LabError for the documented sizes on a machine whose kernel refuses them, or when the host
        that runs has another sizing.
        """
        engine.ensure(self.state, self.progress).close()
        if sizing == "documented":
            _require_overcommit()
        with self.locked():
            base = snapshot or image.ensure(self.client, self.progress)
            self._prepare()
            host = self.find(name)
            if host is not None and not host.running:
                host.discard()
                host = None
            if host is None:
                self.progress(f"booting host {name}")
                host = self._make(name, base, sizing, topology)
                if snapshot is not None and topology == "containers":
                    self._copy(_volume_of_snapshot(snapshot), _engine_volume(host.container))
                host.container.start()
            host.require(sizing)
            host.booted()
            if topology == "containers":
                self._bring_base_image(host)
            self.publish()
        return host

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing this lab in the meantime."""
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def publish(self) -> None:
        """Tell the inventory which hosts run, and where."""
        write_targets(each.target() for each in self.hosts() if each.running)

    @engine.reported("lab")
    def find(self, name: str) -> LabHost | None:
        """The host of that name, or None."""
        return next((host for host in self.hosts() if host.name == name), None)

    @engine.reported("lab")
    def hosts(self) -> list[LabHost]:
        """All hosts of this lab, running or not."""
        label = f"{LABEL}={self.id}"
        found = self.client.containers.list(all=True, filters={"label": label})
        return sorted((LabHost(self, one) for one in found), key=lambda host: host.name)

    @engine.reported("lab snapshot")
    def snapshot(self, host: LabHost, key: str) -> str:
        """Shut a host down and keep it as an image for later starts; return the image's tag.

        Hosts that boot from it have SSH keys and a machine id of their own. Of a Docker host, what
        its engine has (images, containers, volumes) is kept in a volume beside the image.
        """
        host.exec(
            "rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id; truncate -s0 /etc/machine-id"
        )
        host.stop()
        tag = self._snapshot_tag(key)
        repository, version = tag.split(":")
        if host.topology == "containers":
            self._keep_engine(host, _volume_of_snapshot(tag))
        host.container.commit(
            repository=repository, tag=version, changes=[f"LABEL {LABEL}={self.id}"]
        )
        host.remove()
        self._drop_snapshots(SNAPSHOTS_KEPT)
        return tag

    def find_snapshot(self, key: str) -> str | None:
        """The tag of a snapshot that was kept under `key`, or None."""
        try:
            self.client.images.get(self._snapshot_tag(key))
        except docker.errors.ImageNotFound:
            return None
        return self._snapshot_tag(key)

    @engine.reported("lab down")
    def down(self, *, images: bool = False) -> None:
        """Remove all hosts and the network; with `images` the snapshots and base images too.

        Base images serve all labs of this machine: they stay while another lab has anything.
        """
        with self.locked():
            for host in self.hosts():
                host.discard()
            for network in self.client.networks.list(names=[f"^{self.network_name}$"]):
                network.remove()
            for leftover in [target_file(), *self.state.glob("known_hosts.*")]:
                leftover.unlink(missing_ok=True)
            if images:
                self._drop_snapshots(0)
                self._drop_base_images()

    def _drop_snapshots(self, kept: int) -> None:
        """Remove all snapshots of this lab but the `kept` newest ones."""
        found = self.client.images.list(name=f"{SNAPSHOTS}{self.id}")
        found.sort(key=lambda one: str(one.attrs["Created"]), reverse=True)
        for tag in _tags(found[kept:]):
            self.client.images.remove(tag)
        stay = {_volume_of_snapshot(tag) for tag in _tags(found[:kept])}
        for volume in self.client.volumes.list(filters={"label": f"{LABEL}={self.id}"}):
            if volume.name not in stay:
                volume.remove()

    def _keep_engine(self, host: LabHost, kept: str) -> None:
        """Copy what a stopped Docker host's engine has; a copy that was cut off is made anew."""
        with suppress(docker.errors.NotFound):
            self.client.volumes.get(kept).remove()
        self.client.volumes.create(kept, labels={LABEL: self.id})
        self._copy(_engine_volume(host.container), kept)

    def _copy(self, source: str, destination: str) -> None:
        """Copy one volume into another, with everything that overlay file systems need."""
        self.client.containers.run(
            image.tag(),
            ["cp", "-a", "/from/.", "/to/"],
            volumes={source: {"bind": "/from", "mode": "ro"}, destination: {"bind": "/to"}},
            cap_add=["ALL"],
            cap_drop=["SYS_RESOURCE"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            network_disabled=True,
            remove=True,
        )

    def _drop_base_images(self) -> None:
        hosts = self.client.containers.list(all=True, filters={"label": LABEL})
        if hosts or self.client.images.list(filters={"label": LABEL}):
            self.progress("base images stay: another lab of this machine has hosts or snapshots")
            return
        for tag in _tags(self.client.images.list(name=image.REPOSITORY)):
            self.client.images.remove(tag)

    def _snapshot_tag(self, key: str) -> str:
        return f"{SNAPSHOTS}{self.id}:{key}"

    def _prepare(self) -> None:
        key = self.state / "id_ed25519"
        if not key.exists() or not key.with_suffix(".pub").exists():
            key.unlink(missing_ok=True)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)]
            subprocess.run(command, check=True)
        for topology, file in SECRETS.items():
            generate_secrets(self.state / file, topology)
        if not self.client.networks.list(names=[f"^{self.network_name}$"]):
            self._create_network()

    def _create_network(self) -> Network:
        """An internal network: its hosts reach each other and this machine, and nothing else."""
        return self.client.networks.create(
            self.network_name, driver="bridge", internal=True, labels={LABEL: self.id}
        )

    def _bring_base_image(self, host: LabHost) -> None:
        """Put the base image where the host's own engine can load it; there is no registry."""
        if host.exec(f"test -e {image.ON_HOST}/manifest.json")[0] == 0:
            return
        self.progress(f"bringing the base image to host {host.name}")
        host.exec(f"mkdir -p {image.ON_HOST}")
        saved = self.client.images.get(image.tag()).save(named=True)
        host.container.put_archive(image.ON_HOST, saved)

    def _make(self, name: str, base: str, sizing: Sizing, topology: Topology) -> LabHost:
        """A host that has not been started yet."""
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
            device_cgroup_rules=LOOP_DEVICES,
        )
        host_config |= {"CgroupnsMode": cgroups["namespace"]}
        host_config |= {"MaskedPaths": [], "ReadonlyPaths": []}  # systemd writes below /proc/sys
        aliases = api.create_endpoint_config(aliases=[name])
        made = api.create_container(
            base,
            cgroups["command"],
            name=f"{self.network_name}-{name}",
            hostname=name,
            labels={
                LABEL: self.id,
                HOST_LABEL: name,
                SIZING_LABEL: sizing,
                TOPOLOGY_LABEL: topology,
            },
            volumes=[ENGINE_DATA] if topology == "containers" else [],
            environment={"container": "docker"},
            host_config=host_config,
            networking_config={"EndpointsConfig": {self.network_name: aliases}},
        )
        return LabHost(self, self.client.containers.get(made["Id"]))
