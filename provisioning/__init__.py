"""What each host must have, and how it gets there: resources, plan, apply."""

from collections.abc import Callable

from connect_infra.document import load
from connect_infra.targets import Target, load_secrets
from connect_infra.transport import Connection, connect
from provisioning import containers, native
from provisioning.apply import apply
from provisioning.component import Component, Context
from provisioning.plan import Plan, diff, observe

__all__ = ["Plan", "apply", "diff", "observe", "provision", "wanted"]


def wanted(target: Target) -> tuple[Component, ...]:
    """What a target must have, in order."""
    expectations = target.expectations(load(target.topology))
    components = native.components if target.topology == "native" else containers.components
    return components(Context(expectations, load_secrets(target), target))


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
