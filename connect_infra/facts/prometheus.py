"""What Prometheus and Alertmanager run with and see, asked of their own HTTP interfaces.

Every query of the dashboards that lie on the host is put to Prometheus as well: whether a panel
shows anything is known only there.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connect_infra.document import parse as parse_value
from connect_infra.facts.base import Output, junk
from connect_infra.facts.prometheus_questions import ASK

NAME = "prometheus"

DASHBOARDS = "/opt/connect/monitoring/grafana-dashboards"
DOCUMENTED_GROUP = "connect.rules"
"""The group that the document puts its alerts in (A 5.1); ours stand in another."""

_PROGRAM = f"FOLDER = {DASHBOARDS!r}\n{ASK}"

COMMANDS: Mapping[str, str] = {
    "server": f"python3 -c {shlex.quote(_PROGRAM)}",
    "user": "getent passwd prometheus",
    "owners": "stat -c '%U %n' /etc/prometheus /var/lib/prometheus",
}

_BARE = re.compile(r"\s+")
_RANGE = re.compile(r"\[([0-9a-z]+)\]")

_junk = junk(NAME, "see `systemctl status prometheus` on the host", 120)


@dataclass(frozen=True)
class ScrapeTarget:
    """One target as Prometheus scrapes it now; `interval` as it shows it (`15s`)."""

    job: str
    address: str
    path: str
    health: str
    error: str
    interval: str


@dataclass(frozen=True)
class AlertRule:
    """One alerting rule as loaded; `lasts` in seconds."""

    name: str
    expr: str
    lasts: float
    severity: str
    health: str
    state: str
    group: str
    file: str


@dataclass(frozen=True)
class WrittenAlert:
    """One alerting rule as its file has it now; `lasts` as it is written (`30s`)."""

    name: str
    expr: str
    lasts: str
    severity: str


@dataclass(frozen=True)
class Panel:
    """One panel of a dashboard and how many series each of its queries returns, or its error."""

    title: str
    kind: str
    queries: Mapping[str, int | str]


@dataclass(frozen=True)
class Account:
    """A system user."""

    uid: int
    shell: str


@dataclass(frozen=True)
class PrometheusFacts:
    """The running Prometheus, what it scrapes and loads, and the dashboards on the host.

    `config` is the configuration that the server itself reports, `file` what its file says now.
    `alertmanagers` are those that it sends to, `delivery` is how Alertmanager passes on what no
    other route takes (`email_configs`, …). `models` are the dashboards as they lie there, by title.
    """

    version: str
    config: Mapping[str, Any]
    file: Mapping[str, Any]
    rule_files: Mapping[str, Any]
    reloaded: bool
    targets: tuple[ScrapeTarget, ...]
    rules: tuple[AlertRule, ...]
    alertmanagers: tuple[str, ...]
    alertmanager_version: str
    delivery: tuple[str, ...]
    series: Mapping[str, int]
    dashboards: Mapping[str, tuple[Panel, ...]]
    models: Mapping[str, Mapping[str, Any]]
    account: Account
    owners: Mapping[str, str]

    def job(self, name: str) -> tuple[ScrapeTarget, ...]:
        """Return the targets of a job; ObservationError when it has none."""
        found = tuple(target for target in self.targets if target.job == name)
        if not found:
            raise _junk(f"a target of job {name}", ", ".join(t.job for t in self.targets))
        return found

    def alert(self, name: str) -> AlertRule:
        """Return the documented group's rule of a name; ObservationError when there is none."""
        for rule in self.rules:
            if (rule.group, rule.name) == (DOCUMENTED_GROUP, name):
                return rule
        raise _junk(f"an alert {name}", ", ".join(rule.name for rule in self.rules))

    def written_job(self, name: str) -> Mapping[str, Any]:
        """Return a job as the file has it; ObservationError when it has none."""
        jobs: list[Mapping[str, Any]] = self.file.get("scrape_configs") or []
        for job in jobs:
            if job.get("job_name") == name:
                return job
        raise _junk(f"a job {name} in the file", ", ".join(str(j.get("job_name")) for j in jobs))

    def written_alert(self, name: str) -> WrittenAlert:
        """Return the documented group's rule as its file has it; ObservationError if none does."""
        groups = [g for file in self.rule_files.values() for g in file.get("groups") or []]
        rules = [r for g in groups if g.get("name") == DOCUMENTED_GROUP for r in g["rules"]]
        for rule in rules:
            if rule.get("alert") == name:
                severity = (rule.get("labels") or {}).get("severity", "")
                return WrittenAlert(name, rule["expr"], str(rule.get("for", "0s")), severity)
        raise _junk(f"an alert {name} in the files", ", ".join(str(r.get("alert")) for r in rules))


def bare(expression: str) -> str:
    """A query for comparison: without blanks and with its durations in milliseconds.

    The server prints queries in its own layout, `[60m]` as `[1h]`.
    """
    return _RANGE.sub(_milliseconds, _BARE.sub("", expression))


def _milliseconds(found: re.Match[str]) -> str:
    try:
        return f"[{parse_value('duration', found[1])}ms]"
    except ValueError:
        return found[0]


def parse(outputs: Mapping[str, Output]) -> PrometheusFacts:
    """Read the servers' answers; raises ObservationError on anything that is not theirs."""
    text = outputs["server"].text("Prometheus on port 9090")
    account = _account(outputs["user"].text("user prometheus"))
    owners = dict(
        _pair(line)[::-1] for line in outputs["owners"].text("/etc/prometheus").splitlines()
    )
    try:
        return _facts(json.loads(text), account, owners)
    except (ArithmeticError, LookupError, ValueError, TypeError, AttributeError) as problem:
        raise _junk("the answers of its API", f"{type(problem).__name__} in {text}") from problem


def _facts(
    everything: Mapping[str, Any], account: Account, owners: Mapping[str, str]
) -> PrometheusFacts:
    answers, found = everything["answers"], everything["found"]
    models = {model["title"]: model for model in everything["dashboards"].values()}
    return PrometheusFacts(
        version=answers["status/buildinfo"]["version"],
        config=_yaml(answers["status/config"]["yaml"]),
        file=_yaml(everything["file"]),
        rule_files={path: _yaml(text) for path, text in everything["rules"].items()},
        reloaded=answers["status/runtimeinfo"]["reloadConfigSuccess"] is True,
        targets=tuple(_target(target) for target in answers["targets"]["activeTargets"]),
        rules=tuple(
            _rule(rule, group)
            for group in answers["rules"]["groups"]
            for rule in group["rules"]
            if rule["type"] == "alerting"
        ),
        alertmanagers=tuple(
            one["url"].split("/")[2] for one in answers["alertmanagers"]["activeAlertmanagers"]
        ),
        alertmanager_version=_version_of(everything["alertmanager"]),
        delivery=_delivery(everything["alertmanager"]),
        series={
            row["metric"]["job"]: int(row["value"][1]) for row in everything["series"]["result"]
        },
        dashboards={title: _panels(model, found) for title, model in models.items()},
        models=models,
        account=account,
        owners=owners,
    )


def _yaml(text: str) -> Mapping[str, Any]:
    import yaml  # only this parser needs it

    try:
        config = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as problem:
        raise ValueError(f"no YAML: {text[:40]!r}") from problem
    if not isinstance(config, dict):
        raise ValueError(f"no configuration: {text[:40]!r}")
    return config


def _target(target: Mapping[str, Any]) -> ScrapeTarget:
    _, _, rest = str(target["scrapeUrl"]).partition("://")
    address, slash, path = rest.partition("/")
    return ScrapeTarget(
        job=target["labels"]["job"],
        address=address,
        path=slash + path,
        health=target["health"],
        error=target["lastError"],
        interval=target["scrapeInterval"],
    )


def _rule(rule: Mapping[str, Any], group: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        name=rule["name"],
        expr=rule["query"],
        lasts=float(rule["duration"]),
        severity=rule["labels"].get("severity", ""),
        health=rule["health"],
        state=rule["state"],
        group=group["name"],
        file=group["file"],
    )


def _panels(model: Mapping[str, Any], found: Mapping[str, int | str]) -> tuple[Panel, ...]:
    return tuple(
        Panel(
            title=panel["title"],
            kind=panel["type"],
            queries={target["expr"]: found[target["expr"]] for target in panel["targets"]},
        )
        for panel in model["panels"]
    )


def _version_of(status: Mapping[str, Any]) -> str:
    return str(status["versionInfo"]["version"]) if "versionInfo" in status else ""


def _delivery(status: Mapping[str, Any]) -> tuple[str, ...]:
    if "config" not in status:
        return ()
    config = _yaml(status["config"]["original"])
    receivers = {one["name"]: one for one in config["receivers"]}
    ways = receivers[config["route"]["receiver"]]
    return tuple(sorted(name for name, settings in ways.items() if name != "name" and settings))


def _account(line: str) -> Account:
    fields = line.strip().split(":")
    if len(fields) != 7 or not (fields[2].isascii() and fields[2].isdigit()):
        raise _junk("a line of /etc/passwd", line)
    return Account(uid=int(fields[2][:10]), shell=fields[6])


def _pair(line: str) -> tuple[str, str]:
    owner, _, path = line.partition(" ")
    return owner, path
