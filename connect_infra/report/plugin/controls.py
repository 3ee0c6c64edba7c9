"""From controls to tests: a spec runs once for each control that its marker names."""

from pathlib import Path

import pytest

from connect_infra import document
from connect_infra.document import Control, Topology
from connect_infra.report.plugin import SPECS
from connect_infra.report.plugin.verification import Verification, verification_of

CONTAINERS = "containers"
"""The directory of the specs of the containers topology; the others are native."""

_ASKING = {"connection", "target"}
"""The fixtures through which a spec asks the target itself; what others know is in the facts."""

_control_id = pytest.StashKey[str]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a spec once for each control that it asserts."""
    marker = metafunc.definition.get_closest_marker("controls")
    if marker is None:
        return
    topology = topology_of(metafunc.definition.path)
    ids = [control.id for control in controls_of(marker, topology)]
    metafunc.parametrize("control", ids, indirect=True, ids=ids)


def topology_of(path: Path) -> Topology:
    """Return what a spec is about: specs/containers/ holds document S, all others document A."""
    return "containers" if path.parent.name == CONTAINERS else "native"


def controls_of(marker: pytest.Mark, topology: Topology) -> tuple[Control, ...]:
    """Return the controls that a `controls` marker names; DocumentError if there is none.

    `where` is a test of a control, or the keys that are meant.
    """
    known = document.load(topology)
    if "component" in marker.kwargs:
        where = marker.kwargs.get("where", lambda control: True)
        chosen = where if callable(where) else lambda control: control.key in where
        found = tuple(one for one in known.component(marker.kwargs["component"]) if chosen(one))
    else:
        # In the document's order: xdist's workers must agree, also where a spec named a set.
        found = tuple(one for one in known.controls.values() if one.id in marker.args)
    unknown = [name for name in marker.args if name not in known.controls]
    if unknown or not found:
        raise pytest.UsageError(f"no such control: {', '.join(unknown) or marker.kwargs}")
    return found


def control_of(item: pytest.Item) -> str | None:
    """Return the id of the control that a collected spec asserts, None if it asserts none."""
    return item.stash.get(_control_id, None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the specs of the topology that the target doesn't have."""
    verification = verification_of(config)
    if verification is None or collection_path.suffix != ".py":
        return None
    if config.rootpath / SPECS not in collection_path.parents:
        return None
    return topology_of(collection_path) != verification.target.topology or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note each spec's control; leave out what was not asked for or is not allowed."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if item.get_closest_marker("controls") and callspec is not None:
            item.stash[_control_id] = callspec.params["control"]
    verification = verification_of(config)
    kept = [item for item in items if _chosen(item, config, verification)]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept
    items.sort(key=_is_quick)


def _is_quick(item: pytest.Item) -> bool:
    """Whether a spec only reads facts. Those that ask the target run first, whatever they wait for:
    what xdist's workers share out at the end is then short."""
    return _ASKING.isdisjoint(getattr(item, "fixturenames", ()))


def _chosen(item: pytest.Item, config: pytest.Config, run: Verification | None) -> bool:
    control_id = control_of(item)
    if control_id is None or run is None:
        return True
    component = config.getoption("--component")
    if component and run.document.controls[control_id].component != component:
        return False
    return bool(config.getoption("--intrusive")) or not item.get_closest_marker("intrusive")
