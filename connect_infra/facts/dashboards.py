"""The dashboards of a Docker host: as files, and every query of theirs put to its Prometheus."""

import json
import shlex
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from connect_infra.facts.answers import read_json
from connect_infra.facts.base import Output

NAME = "dashboards"

FOLDER = "/opt/connect/monitoring/grafana-dashboards"

_ASK = """
import concurrent.futures, glob, json, os, urllib.error, urllib.parse, urllib.request

SERVER = "http://127.0.0.1:9090/api/v1/"

def ask(what, **parameters):
    try:
        address = SERVER + what + "?" + urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(address, timeout=8) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)

def series(query):
    answer = ask("query", query=query)
    return len(answer["data"]["result"]) if answer["status"] == "success" else answer["error"]

models = []
for path in sorted(glob.glob(os.path.join(FOLDER, "*.json"))):
    with open(path, encoding="utf-8") as file:
        models.append(json.load(file))
queries = sorted({target["expr"] for model in models for panel in model["panels"]
                  for target in panel["targets"]})
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    found = dict(zip(queries, pool.map(series, queries)))
targets = {}
for one in ask("targets")["data"]["activeTargets"]:
    targets.setdefault(one["labels"]["job"], []).append(one["health"])
print(json.dumps({"models": models, "series": found, "targets": targets}))
"""

_PROGRAM = f"FOLDER = {FOLDER!r}\n{_ASK}"

COMMANDS: Mapping[str, str] = {"prometheus": f"python3 -c {shlex.quote(_PROGRAM)}"}


class Panel(BaseModel):
    """One panel as its file has it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    targets: tuple[Mapping[str, Any], ...]

    @property
    def queries(self) -> tuple[str, ...]:
        """What it asks."""
        return tuple(str(one.get("expr", "")) for one in self.targets)


class DashboardFacts(BaseModel):
    """The dashboards and their data.

    `models`: as they lie there, in Grafana's own model. `found`: how many series each query
    returns, or what Prometheus says against it. `targets`: the health of each job's targets.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    models: tuple[Mapping[str, Any], ...]
    found: Mapping[str, int | str] = Field(alias="series")
    targets: Mapping[str, tuple[str, ...]]

    @cached_property
    def panels(self) -> Mapping[str, Panel]:
        """Every panel of every dashboard, by its title in lower case; ObservationError on junk."""
        rows = json.dumps([row for model in self.models for row in model.get("panels") or []])
        found = read_json(Output(0, rows, ""), _PANELS, "the dashboards' panels")
        return {one.title.lower(): one for one in found}

    def series(self, query: str) -> int | str:
        """How many series a query returns, or what Prometheus says against it."""
        return self.found.get(query, "not asked")


_ANSWER = TypeAdapter(DashboardFacts)
_PANELS = TypeAdapter(tuple[Panel, ...])


def parse(outputs: Mapping[str, Output]) -> DashboardFacts:
    """Read the answer; raises ObservationError on anything else."""
    return read_json(outputs["prometheus"], _ANSWER, "Prometheus on port 9090")
