"""Which drills and load profiles prove a documented statement: read from their own data."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connect_infra import document
from connect_infra.report.collection import PROJECT

DRILLS = PROJECT / "chaos" / "data"
PROFILES = PROJECT / "loadtests" / "profiles"


def drills_by_control() -> Mapping[str, list[str]]:
    """The names of the drills by the controls that they name."""
    found: dict[str, list[str]] = {}
    for path in sorted(DRILLS.glob("*.toml")):
        for drill in _read(path).get("drill", []):
            for control in drill.get("controls", []):
                found.setdefault(control, []).append(str(drill["name"]))
    return found


def load_by_control() -> Mapping[str, list[str]]:
    """The load profiles by control: an objective's `source` is `A 1.2, concurrent users`."""
    sources = {
        f"{control.document} {control.section}, {control.key}": name
        for name, control in document.load().controls.items()
    }
    found: dict[str, list[str]] = {}
    for path in sorted(PROFILES.glob("*.toml")):
        for source in _sources(_read(path)):
            for text, control in sources.items():
                if source.startswith(text):
                    found.setdefault(control, []).append(path.stem)
    return {name: list(dict.fromkeys(profiles)) for name, profiles in found.items()}


def _sources(profile: Mapping[str, Any]) -> Iterator[str]:
    for objective in profile.get("objectives", []):
        yield str(objective.get("source", ""))


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
