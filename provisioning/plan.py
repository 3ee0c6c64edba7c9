"""From what a host shows to what would change: one trip to look, then pure functions."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import singledispatch
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from connect_infra.errors import ObservationError, PlanError
from connect_infra.transport import Connection
from provisioning.component import Activation, Component
from provisioning.resources import (
    Directory,
    Ensure,
    File,
    Group,
    Package,
    Resource,
    Symlink,
    Sysctl,
    Unit,
    User,
)
from provisioning.sent import host_side

OBSERVE_SECONDS = 60.0
"""Time limit of the trip that looks: the slowest single check is given 20 s on the host."""

State = Mapping[str, Any]
"""What the host says about one resource; the keys depend on its kind (host_side/looks.py)."""


@dataclass(frozen=True)
class Observed:
    """A host's states by resource id, and the pending notes of an apply that did not finish."""

    states: Mapping[str, State]
    pending: Mapping[str, State]

    def digest(self) -> str:
        """A digest that changes when anything observed does; what checks said is left out."""
        states = {
            name: {key: value for key, value in state.items() if key != "said"}
            for name, state in self.states.items()
        }
        return _digest([states, dict(self.pending)])


@dataclass(frozen=True)
class Change:
    """One resource that is not as wanted. `detail` is a unified diff, never of a secret file."""

    component: str
    resource: str
    verb: str
    summary: str
    detail: str = ""


@dataclass(frozen=True)
class Effect:
    """What a component's changed files ask of its service."""

    unit: str
    action: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What would be changed, in order; `facts_hash` and `desired_hash` say what it was made of."""

    changes: tuple[Change, ...]
    effects: Mapping[str, Effect]
    facts_hash: str
    desired_hash: str
    notes: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes)

    def of(self, component: str) -> tuple[Change, ...]:
        """The changes of one component."""
        return tuple(change for change in self.changes if change.component == component)

    def render(self, *, diff: bool = False) -> "PlanView":
        """The plan for a person; `diff` adds the files' differences. Holds no secret."""
        return PlanView(self, diff)

    def save(self, path: Path) -> None:
        """Write the plan to a file; PlanError when it can't be written."""
        document = {
            "changes": [asdict(change) for change in self.changes],
            "effects": {name: asdict(effect) for name, effect in self.effects.items()},
            "facts_hash": self.facts_hash,
            "desired_hash": self.desired_hash,
            "notes": list(self.notes),
        }
        try:
            path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as problem:
            raise PlanError(
                expected="a plan file that can be written",
                found=str(problem.strerror),
                where=str(path),
                remedy="give another path to --out",
            ) from problem

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read a saved plan; PlanError when it is not one."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                tuple(Change(**change) for change in document["changes"]),
                {
                    name: Effect(effect["unit"], effect["action"], tuple(effect["paths"]))
                    for name, effect in document["effects"].items()
                },
                document["facts_hash"],
                document["desired_hash"],
                tuple(document["notes"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise PlanError(
                expected="a plan saved by `connect-infra plan --out`",
                found=f"{type(problem).__name__}: {problem}",
                where=str(path),
                remedy="make the plan again",
            ) from problem

    def require_same_as(self, fresh: "Plan") -> None:
        """PlanError when the host or the desired state has changed since this plan was made."""
        found = []
        if self.facts_hash != fresh.facts_hash:
            found.append("the host has changed since")
        if self.desired_hash != fresh.desired_hash:
            found.append("what is wanted has changed since")
        if found:
            raise PlanError(
                expected="the host and the desired state that the plan was made of",
                found=" and ".join(found),
                where="the plan",
                remedy="make the plan again and read it again",
            )


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def requested(components: Sequence[Component]) -> dict[str, dict[str, object]]:
    """All resources by id, as the host is asked about them; PlanError when two are the same."""
    resources: dict[str, dict[str, object]] = {}
    for component in components:
        for resource in component.resources:
            if resource.id in resources and not isinstance(resource, Package):
                raise PlanError(
                    expected="each resource in one component",
                    found=f"{resource.id} twice",
                    where=f"provisioning, component {component.name}",
                    remedy="keep it in one of them",
                )
            resources[resource.id] = resource.encode()
    return resources


def observe(connection: Connection, components: Sequence[Component]) -> Observed:
    """Look at every resource in one round trip; changes nothing."""
    request = {"do": "observe", "resources": requested(components)}
    answer = connection.python(host_side(), request, sudo=True, timeout=OBSERVE_SECONDS)
    return observed_from(answer, connection.name)


def observed_from(answer: object, host: str) -> Observed:
    """The host's answer with its shape checked: ObservationError when it is not one."""
    if not isinstance(answer, dict) or not answer.get("states"):
        raise ObservationError(
            expected="the states of the host's resources",
            found=repr(answer)[:200],
            where=host,
            remedy="look at the host by hand: its python3 may be broken",
        )
    return Observed(answer["states"], answer["pending"])


def diff(components: Sequence[Component], observed: Observed) -> Plan:
    """What would have to change, and what that asks of the services. Pure."""
    changes: list[Change] = []
    effects: dict[str, Effect] = {}
    notes: list[str] = []
    seen: set[str] = set()
    for component in components:
        own = [resource for resource in component.resources if resource.id not in seen]
        seen |= {resource.id for resource in own}
        of_component = [
            Change(component.name, resource.id, *difference)
            for resource in own
            if (difference := compare(resource, _state(observed, resource))) is not None
        ]
        effect = _effect(component, of_component, observed.pending.get(component.name))
        if effect:
            effects[component.name] = effect
        if component.name in observed.pending:
            of_component.append(_unfinished(component))
        changes += of_component
        notes += _remarks(component, observed)
    wanted = desired_hash(components)
    return Plan(tuple(changes), effects, observed.digest(), wanted, tuple(notes))


def desired_hash(components: Sequence[Component]) -> str:
    """A digest of what is wanted; the same in every process, secrets included."""
    return _digest([_desired(component) for component in components])


def _state(observed: Observed, resource: Resource) -> State:
    try:
        return observed.states[resource.id]
    except KeyError:
        raise ObservationError(
            expected=f"a state of {resource.id}",
            found="none in the host's answer",
            where="the host's facts",
            remedy="gather them again",
        ) from None


def _unfinished(component: Component) -> Change:
    return Change(
        component.name,
        f"activate {component.name}",
        "activate",
        "an earlier apply was interrupted before the service ran with its files",
    )


def _effect(component: Component, changes: Sequence[Change], note: State | None) -> Effect | None:
    places = {
        resource.id: resource.path
        for resource in component.resources
        if isinstance(resource, File | Symlink)
    }
    paths = {places[change.resource] for change in changes if change.resource in places}
    paths |= set(note["paths"]) if note else set()
    if not paths and note is None:
        return None
    activation = component.activation
    if activation is None:
        return Effect("", "", tuple(sorted(paths)))
    action = activation.action(paths)
    if note and note["action"] == "restart":
        action = "restart"
    return Effect(activation.unit, action, tuple(sorted(paths)))


def _remarks(component: Component, observed: Observed) -> list[str]:
    return [
        f"{resource.id}: this host does not let it be set (it is {state['value']}, "
        f"{resource.value} is wanted)"
        for resource in component.resources
        if isinstance(resource, Sysctl)
        and not (state := _state(observed, resource))["writable"]
        and state["value"] != resource.value
    ]


def _encode(activation: Activation | None) -> dict[str, object] | None:
    if activation is None:
        return None
    return asdict(activation) | {"restart_on": sorted(activation.restart_on)}


def _desired(component: Component) -> list[object]:
    return [
        component.name,
        [resource.encode() for resource in component.resources],
        [hashlib.sha256(file.content).hexdigest() for file in component.files],
        [component.validate, component.verify, _encode(component.activation)],
    ]


# --- comparing one resource with its state -------------------------------------------------------

Difference = tuple[str, str, str]
"""Verb, summary, detail."""


@singledispatch
def compare(resource: Resource, state: State) -> Difference | None:
    """How a resource's state differs from what is wanted; None when it doesn't."""
    raise NotImplementedError(type(resource).__name__)


@compare.register
def _(resource: Package, state: State) -> Difference | None:
    return None if state["version"] else ("install", "not installed", "")


@compare.register
def _(resource: Group, state: State) -> Difference | None:
    return None if state["exists"] else ("create", "no such group", "")


@compare.register
def _(resource: User, state: State) -> Difference | None:
    if not state["exists"]:
        return "create", "no such user", ""
    wanted = {"group": resource.group, "home": resource.home, "shell": resource.shell}
    return _changed(wanted, state)


@compare.register
def _(resource: Directory, state: State) -> Difference | None:
    if state["type"] == "absent":
        return "create", f"{resource.owner}:{resource.group} {resource.mode:04o}", ""
    if state["type"] != "directory":
        return "change", f"a {state['type']} is in its place", ""
    return _changed(_owned(resource), state)


@compare.register
def _(resource: File, state: State) -> Difference | None:
    if state["type"] == "absent":
        summary = f"{resource.owner}:{resource.group} {resource.mode:04o}"
        return "create", summary, _file_detail(resource, "")
    if state["type"] != "file":
        return "change", f"a {state['type']} is in its place", ""
    other = _changed(_owned(resource), state)
    if state["sha256"] == hashlib.sha256(resource.content).hexdigest():
        return other
    said = "secret content differs" if resource.secret else "content differs"
    summary = said if other is None else f"{said}, {other[1]}"
    return "change", summary, _file_detail(resource, state.get("text"))


@compare.register
def _(resource: Symlink, state: State) -> Difference | None:
    if state["type"] == "absent":
        return "create", f"-> {resource.target}", ""
    if state["type"] != "symlink":
        return "change", f"a {state['type']} is in its place", ""
    if state["target"] == resource.target:
        return None
    return "change", f"-> {state['target']} to -> {resource.target}", ""


@compare.register
def _(resource: Unit, state: State) -> Difference | None:
    if resource.masked:
        masked = state["load"] == "masked" and state["active"] != "active"
        return None if masked else ("mask", f"{state['load']}, {state['active']}", "")
    wrong = []
    if resource.enabled != state["start"].startswith(("enabled", "static", "alias")):
        wrong.append(f"{state['start'] or state['load']} to be enabled at boot")
    if resource.running != (state["active"] in ("active", "reloading")):
        wrong.append(f"{state['active']} to be {'running' if resource.running else 'stopped'}")
    if state["stale"] == "yes":
        wrong.append("changed on disk, not read again by systemd")
    return ("set", ", ".join(wrong), "") if wrong else None


@compare.register
def _(resource: Sysctl, state: State) -> Difference | None:
    if state["value"] == resource.value or not state["writable"]:
        return None
    return "set", f"{state['value']} to {resource.value}", ""


@compare.register
def _(resource: Ensure, state: State) -> Difference | None:
    return None if state["holds"] else ("run", str(state["said"]).splitlines()[-1], "")


def _owned(resource: File | Directory) -> dict[str, object]:
    return {"mode": resource.mode, "owner": resource.owner, "group": resource.group}


def _changed(wanted: Mapping[str, object], state: State) -> Difference | None:
    different = [
        f"{name} {_shown(name, state[name])} to {_shown(name, value)}"
        for name, value in wanted.items()
        if state[name] != value
    ]
    return ("change", ", ".join(different), "") if different else None


def _shown(name: str, value: object) -> str:
    return f"{value:04o}" if name == "mode" and isinstance(value, int) else str(value)


def _file_detail(resource: File, before: str | None) -> str:
    if resource.secret:
        return "secret content differs\n"
    if before is None:
        return "content differs (too large to show)\n"
    lines = difflib.unified_diff(
        before.splitlines(),
        resource.content.decode("utf-8", "replace").splitlines(),
        f"{resource.path} (on the host)",
        f"{resource.path} (wanted)",
        lineterm="",
    )
    return "\n".join(lines) + "\n"


# --- for a person --------------------------------------------------------------------------------

_MARKS = {"create": ("+", "green"), "install": ("+", "green"), "change": ("~", "yellow")}


class PlanView:
    """A plan as rich prints it: by component, then one line a change, then a sum."""

    def __init__(self, plan: Plan, diff: bool) -> None:
        """Show `plan`; `diff` adds the files' differences."""
        self.plan = plan
        self.diff = diff

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        component = ""
        for change in self.plan.changes:
            if change.component != component:
                component = change.component
                yield self._heading(component)
            mark, style = _MARKS.get(change.verb, ("!", "cyan"))
            verb = "" if mark in "+~" else f"{change.verb} "
            yield Text(f"  {mark} {verb}{change.resource}: {change.summary}", style=style)
            if self.diff:
                yield from _diff_lines(change.detail)
        for note in self.plan.notes:
            yield Text(f"note: {note}", style="dim")
        count = len(self.plan.changes)
        yield Text(f"{count} change{'' if count == 1 else 's'}" if count else "nothing to do")

    def _heading(self, component: str) -> Text:
        effect = self.plan.effects.get(component)
        tail = f"  ({effect.action} {effect.unit})" if effect and effect.action else ""
        return Text(component, style="bold").append(tail, style="not bold magenta")


def _diff_lines(detail: str) -> list[Text]:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return [Text(f"      {line}", style=colours.get(line[0:1], "")) for line in detail.splitlines()]
