"""What each host must have, and how it gets there: resources, plan, apply."""

from collections.abc import Callable

from connect_infra.document import load
from connect_infra.errors import PlanError
from connect_infra.targets import Target, load_secrets
from connect_infra.transport import Connection, connect
from provisioning import native
from provisioning.apply import apply
from provisioning.component import Component, Context
from provisioning.plan import Plan, diff, observe

__all__ = ["Plan", "apply", "diff", "observe", "provision", "wanted"]


def wanted(target: Target) -> tuple[Component, ...]:
    """What a target must have, in order; PlanError for a topology without provisioning."""
    if target.topology != "native":
        raise PlanError(
            expected="a target of topology native",
            found=target.topology,
            where=f"target {target.name}",
            remedy="provisioning covers native hosts only",
        )
    expectations = load().on(target.sizing, target.memory, target.lab, target.domain)
    return native.components(Context(expectations, load_secrets(target), target))


def provision(target: Target, progress: Callable[[str], None] = lambda _: None) -> Plan:
    """Bring a target to its desired state without asking; returns the plan that was applied."""
    components = wanted(target)
    with connect(target) as connection:
        return _provision(connection, components, progress)


def _provision(
    connection: Connection, components: tuple[Component, ...], progress: Callable[[str], None]
) -> Plan:
    plan = diff(components, observe(connection, components))
    apply(connection, plan, components, progress)
    return plan
