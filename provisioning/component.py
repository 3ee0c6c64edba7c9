"""What belongs together on a host: the resources of one service and how they take effect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from connect_infra.document import Expectation
from connect_infra.errors import PlanError
from connect_infra.targets import Secrets, Target
from provisioning.resources import File, Resource

Action = Literal["reload", "restart"]


@dataclass(frozen=True)
class Activation:
    """How a service takes up changed files: by a reload where that is enough, else a restart.

    `restart_on`: paths that a reload doesn't read. `reload_enough` (sh): run after a reload,
    exits 0 when the service runs with everything, else a restart follows. `log`: the service's
    own log, quoted when it does not come up.
    """

    unit: str
    reload_ok: bool = False
    restart_on: frozenset[str] = frozenset()
    reload_enough: str | None = None
    log: str | None = None

    def action(self, paths: Iterable[str]) -> Action:
        """What a change of these paths asks for."""
        return "reload" if self.reload_ok and not self.restart_on & set(paths) else "restart"


@dataclass(frozen=True)
class WayIn:
    """Marks a component that somebody could lock themselves out with.

    After a change it must be proven by a fresh login; when nobody does within `seconds`, the host
    itself restores the kept files and runs `back` (sh). `keep` (sh) saves beforehand, below $KEPT,
    what is not in files; `back` finds it there.
    """

    back: str
    keep: str = ":"
    seconds: int = 60


@dataclass(frozen=True)
class Component:
    """One service's desired state.

    `validate` (sh) checks the staged files under $STAGE with the service's own checker before
    any is put in place. `verify` (sh) exits 0 once the service works with the new ones; its
    output is the reason when it doesn't. `after`: components that must be in place before.
    """

    name: str
    resources: tuple[Resource, ...]
    validate: str | None = None
    verify: str | None = None
    activation: Activation | None = None
    after: tuple[str, ...] = ()
    way_in: WayIn | None = None

    @property
    def files(self) -> tuple[File, ...]:
        """Its files, in order."""
        return tuple(resource for resource in self.resources if isinstance(resource, File))


@dataclass(frozen=True)
class Context:
    """What components are rendered from."""

    expectations: Mapping[str, Expectation]
    secrets: Secrets
    target: Target

    def expected(self, control: str) -> str:
        """The text this target must show for a control; PlanError when there is no such control."""
        try:
            return self.expectations[control].expected
        except KeyError:
            raise PlanError(
                expected=f"a control {control}",
                found="none with this id",
                where="connect_infra/document/data",
                remedy="correct the id in provisioning or add the control",
            ) from None


def ordered(components: Iterable[Component]) -> tuple[Component, ...]:
    """Components as given, with their `after` checked: PlanError when one comes too early."""
    seen: set[str] = set()
    result = tuple(components)
    for component in result:
        missing = [name for name in component.after if name not in seen]
        if missing or component.name in seen:
            raise PlanError(
                expected=f"{component.name} once, after {', '.join(component.after) or 'nothing'}",
                found=f"{', '.join(missing) or component.name} out of order",
                where="provisioning",
                remedy="put the components in order",
            )
        seen.add(component.name)
    return result
