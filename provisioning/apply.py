"""Makes a plan so on a host: few trips, each safe to be killed in; then proves nothing remains."""

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connect_infra.errors import ApplyError
from connect_infra.transport import Connection
from provisioning import way_in
from provisioning.component import Component
from provisioning.plan import Effect, Plan, diff, observe, observed_from, requested
from provisioning.resources import File, Package, Unit
from provisioning.sent import host_side

TRIP_SECONDS = 900.0
"""Time limit of one trip that changes something; the slowest installs all packages."""

ORPHAN_SECONDS = 120.0
"""How long to wait for the last trip of an apply whose controller was killed."""

Progress = Callable[[str], None]
Answer = dict[str, Any]


@dataclass(frozen=True)
class Lease:
    """Who holds the host while an apply is between trips."""

    token: str
    holder: dict[str, object]

    @classmethod
    def new(cls) -> "Lease":
        """A lease for this process."""
        holder: dict[str, object] = {
            "user": getpass.getuser(),
            "machine": machine(),
            "pid": os.getpid(),
            "started": process_start(os.getpid()),
        }
        return cls(uuid.uuid4().hex, holder)

    def encode(self, void: str | None = None) -> dict[str, object]:
        """As it travels; `void` is the token of a lease that nobody alive holds."""
        return {"token": self.token, "holder": self.holder, "void": void}


def machine() -> str:
    """This machine in this boot: a process id means nothing on another one."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{socket.gethostname()} {boot}"


def process_start(pid: int) -> str | None:
    """When a process started, in clock ticks after boot; None when there is none alive."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def is_dead(holder: dict[str, Any]) -> bool:
    """Whether a lease's holder certainly is no longer there: a process of this machine, gone."""
    here = holder.get("machine") == machine()
    return here and process_start(int(holder["pid"])) != holder.get("started")


def apply(
    connection: Connection, plan: Plan, components: Sequence[Component], progress: Progress
) -> None:
    """Make `plan` so and prove it: afterwards nothing is left to change.

    Raises PlanError when the host has changed since the plan was made, ApplyError when another
    apply runs, when a service does not come up (its old files are back then), or when something
    still differs at the end.
    """
    if not plan:
        return
    run = _Run(connection, Lease.new(), progress)
    try:
        run.begin(plan, components)
        if run.packages(plan, components):  # packages bring files, users and units of their own
            plan = diff(components, observe(connection, components))
        for component in components:
            run.component(plan, component)
        run.prove(components)
    finally:
        run.release()


class _Run:
    """One apply under one lease."""

    def __init__(self, connection: Connection, lease: Lease, progress: Progress) -> None:
        self.connection = connection
        self.lease = lease
        self.progress = progress
        self.held = False

    def begin(self, plan: Plan, components: Sequence[Component]) -> None:
        """Take the lease and look again: the host must still be what the plan was made of."""
        answer = self._ask({"do": "begin", "resources": requested(components)}, "begin")
        fresh = diff(components, observed_from(answer, self.connection.name))
        plan.require_same_as(fresh)

    def packages(self, plan: Plan, components: Sequence[Component]) -> bool:
        """Mask what must not start by itself, then install all missing packages at once.

        Returns whether there was anything to install or mask.
        """
        changed = {change.resource for change in plan.changes}
        resources = [resource for component in components for resource in component.resources]
        wanted = [resource for resource in resources if resource.id in changed]
        masks = [unit.name for unit in wanted if isinstance(unit, Unit) and unit.masked]
        packages = [package.name for package in wanted if isinstance(package, Package)]
        if not packages and not masks:
            return False
        self.progress(f"packages: installing {len(packages)}")
        self._ask({"do": "packages", "masks": masks, "packages": packages}, "packages")
        return True

    def component(self, plan: Plan, component: Component) -> None:
        """Bring one component to its desired state, if it is not there yet."""
        changes = plan.of(component.name)
        if not changes:
            return
        effect = plan.effects.get(component.name, Effect("", ""))
        self.progress(_announce(component.name, len(changes), effect))
        resources = {}
        for resource in component.resources:
            resources[resource.id] = resource.encode()
            if isinstance(resource, File):
                resources[resource.id]["content"] = resource.encode_content()
        self._ask(
            {
                "do": "change",
                "name": component.name,
                "resources": resources,
                "changed": [change.resource for change in changes],
                "paths": list(effect.paths),
                "action": effect.action,
                "validate": component.validate,
                "verify": component.verify,
                "activation": _encode_activation(component),
                "way_in": way_in.encode(component.way_in, host_side()),
            },
            component.name,
        )
        if component.way_in:
            self.progress(f"{component.name}: proving the way in by a fresh login")
            way_in.prove(self.connection, component.name, self.lease.encode())

    def prove(self, components: Sequence[Component]) -> None:
        """Look once more: ApplyError when anything is still to change."""
        remaining = diff(components, observe(self.connection, components))
        if remaining:
            names = "; ".join(
                f"{change.resource}: {change.summary}" for change in remaining.changes
            )
            raise ApplyError(
                expected="nothing left to change after the apply",
                found=names,
                where=self.connection.name,
                remedy="something on the host works against it: find out what, then apply again",
            )

    def release(self) -> None:
        """Give the host free for the next apply."""
        if self.held:
            request = {"do": "release", "lease": self.lease.encode()}
            self.connection.python(host_side(), request, sudo=True, timeout=30.0)

    def _ask(self, request: Answer, where: str) -> Answer:
        void: str | None = None
        patience = time.monotonic() + ORPHAN_SECONDS
        while True:
            request["lease"] = self.lease.encode(void)
            answer = self.connection.python(host_side(), request, sudo=True, timeout=TRIP_SECONDS)
            if not isinstance(answer, dict):
                raise self._failed(where, "answer", repr(answer)[:200])
            if "busy" not in answer:
                break
            void = self._may_wait(answer["busy"], patience)
        if "failed" in answer:
            failed = answer["failed"]
            raise self._failed(where, failed["step"], failed["message"], failed["state"])
        self.held = True
        return answer

    def _may_wait(self, busy: Answer, patience: float) -> str | None:
        holder = busy.get("holder", {})
        if not is_dead(holder) or time.monotonic() > patience:
            raise ApplyError(
                expected="no other apply on this host",
                found=f"one by {holder.get('user', '?')}, process {holder.get('pid', '?')} "
                f"on {str(holder.get('machine', '?')).split()[0]}",
                where=self.connection.name,
                remedy="wait for it to end, then make the plan again",
            )
        if busy["running"]:
            self.progress("waiting for what a killed apply started on the host")
            time.sleep(1.0)
        return str(busy["token"])

    def _failed(self, where: str, step: str, message: str, state: str = "") -> ApplyError:
        return ApplyError(
            expected=f"to {step} for {where}",
            found=message,
            where=self.connection.name,
            remedy=f"{state}{'; ' if state else ''}correct the cause and apply again",
        )


def _announce(name: str, count: int, effect: Effect) -> str:
    then = f", {effect.action} {effect.unit}" if effect.action else ""
    return f"{name}: {count} change{'' if count == 1 else 's'}{then}"


def _encode_activation(component: Component) -> dict[str, object] | None:
    activation = component.activation
    if activation is None:
        return None
    return {
        "unit": activation.unit,
        "reload_enough": activation.reload_enough,
        "log": activation.log,
    }
