"""The program that is sent to the host: all modules of `host_side` as one source.

There they have the names that they have here, so that they can import each other as ever.
"""

from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).parent
PARTS = HERE / "host_side"
ARRIVAL = PARTS / "arrival.py"

BEGIN = """
import sys
sys.meta_path.insert(0, Arrived({sources!r}))
from provisioning.host_side.main import main
from provisioning.host_side.way_in import way_back
"""
"""`main` is what a connection calls, `way_back` what the host's own timer does."""


@lru_cache(maxsize=1)
def host_side() -> str:
    """The source of what runs on the host."""
    package = f"{HERE.name}.{PARTS.name}"
    sources = {HERE.name: "", package: ""}
    for path in sorted(PARTS.glob("*.py")):
        if not path.stem.startswith("__") and path != ARRIVAL:
            sources[f"{package}.{path.stem}"] = _text(path)
    return _text(ARRIVAL) + BEGIN.format(sources=sources)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
