"""Which documented controls provisioning puts on a host: those that it reads while it plans."""

from dataclasses import dataclass, field, fields

from connect_infra.document import Expectation, load
from connect_infra.targets import NAMES, Secrets, Target
from connect_infra.targets.secrets import PASSWORDS
from provisioning import native
from provisioning.component import Component, Context
from provisioning.native.layout import ROOT

ENVIRONMENT = f"{ROOT}/shared/config/.env.production"
DASHBOARDS = f"{ROOT}/monitoring/grafana-dashboards"

OTHERWISE = {
    "layout.current": "current leads somewhere",
    "postgresql.role": "role connect",
    "postgresql.database": "database connect",
    "redis-cache.requirepass": "/etc/redis/redis-cache.conf",
    "redis-queue.requirepass": "/etc/redis/redis-queue.conf",
    "prometheus.version": "prometheus",
    "prometheus.user": "prometheus",
    **{
        f"grafana-dashboard.{name}": f"{DASHBOARDS}/{name.lower().replace('_', '-')}.json"
        for name in (
            *("System_Overview", "Database_Health", "Application_Metrics"),
            *("Business_Metrics", "Security_Monitoring"),
        )
    },
    **dict.fromkeys(
        (
            *(f"env.{name}" for name in NAMES if name not in PASSWORDS),
            *("env.file_mode", "env.JWT_SECRET_length", "env.ENCRYPTION_KEY_length"),
        ),
        ENVIRONMENT,
    ),
    "stack.edge": "nginx.service",
    "stack.app": "connect.service",
    "stack.pool": "pgbouncer.service",
    "stack.database": "postgresql@15-main.service",
    "stack.cache": "redis-cache.service",
    "stack.queue": "redis-queue.service",
    "stack.operations": "prometheus.service",
}
"""Controls whose value is no text that is rendered, and the resource that brings them about."""


@dataclass(frozen=True)
class _Traced(Expectation):
    """An expectation that notes when its value is read."""

    read: set[str] = field(default_factory=set)

    def __getattribute__(self, name: str) -> object:
        if name == "expected":
            control = object.__getattribute__(self, "control")
            object.__getattribute__(self, "read").add(control.id)
        return object.__getattribute__(self, name)


def provisioned() -> frozenset[str]:
    """The ids of the controls whose value or path provisioning puts on a native host."""
    read: set[str] = set()
    target = Target(name="any", way="local")
    secrets = Secrets({name: f"{name.lower()}-of-nobody" for name in NAMES})
    expectations = target.expectations(load())
    traced = {
        name: _Traced(**{each.name: getattr(one, each.name) for each in fields(one)}, read=read)
        for name, one in expectations.items()
    }
    components = native.components(Context(traced, secrets, target))
    places = {place for component in components for place in _places(component)}
    placed = {name for name in expectations if _path(name) in places}
    placed |= {name for name, place in OTHERWISE.items() if place in places}
    return frozenset((read | placed) & expectations.keys())


def _places(component: Component) -> set[str]:
    """The paths and names of a component's resources."""
    return {
        str(getattr(resource, name))
        for resource in component.resources
        for name in ("path", "name")
        if hasattr(resource, name)
    }


def _path(control: str) -> str:
    return f"{ROOT}/{control.removeprefix('layout.')}"
