"""Where the lab says which hosts it has: a file that it writes and the inventory reads.

So nothing but `connect_infra.lab` needs to know how a lab host comes about.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from connect_infra.targets.target import Target

NAME = "lab"
"""The first host of the lab; the others are lab-2, lab-3, …"""


def is_lab(name: str) -> bool:
    """Whether a target's name is one of the lab's own."""
    return name == NAME or name.startswith(f"{NAME}-")


def state_dir() -> Path:
    """Return the directory of the lab's keys and files ($CONNECT_INFRA_STATE, else .lab)."""
    return Path(os.environ.get("CONNECT_INFRA_STATE", ".lab"))


def target_file() -> Path:
    """Return the file that lists the lab's hosts as targets."""
    return state_dir() / "lab-target.toml"


def authority_file(state: Path) -> Path:
    """Where clients of a lab find the certificate that they trust."""
    return state / "authority" / "ca.pem"


def write_targets(targets: Iterable[Target]) -> None:
    """Replace the list of the lab's hosts, in one step."""
    file = target_file()
    text = "# Written by `connect-infra lab up`.\n" + "".join(_table(target) for target in targets)
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def _table(target: Target) -> str:
    row = target.model_dump(mode="json", exclude={"name", "guards"}, exclude_none=True)
    lines = [f'\n[targets."{target.name}"]', *_lines(row)]
    lines += [f'[targets."{target.name}".guards]', *_lines(target.guards.model_dump())]
    return "\n".join(lines) + "\n"


def _lines(row: dict[str, object]) -> list[str]:
    """TOML spells strings, whole numbers and booleans as JSON does."""
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in row.items()]
