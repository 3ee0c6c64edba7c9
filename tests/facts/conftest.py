"""Recorded output of a provisioned lab host, one file a module; secrets are references in it."""

import json
from pathlib import Path

import pytest

from connect_infra.facts.base import Output

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def recorded():
    """Return a module's recorded outputs, some of them replaced: recorded("cron", tables="…")."""

    def read(name, **replaced):
        answers = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
        outputs = {label: Output(**answer) for label, answer in answers.items()}
        for label, text in replaced.items():
            outputs[label.replace("__", ".")] = Output(0, text, "")
        return outputs

    return read
