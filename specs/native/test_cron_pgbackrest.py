"""Architecture v2.0, 4.1: when cron makes the full and the differential backup."""

import json
from datetime import datetime

import pytest

from connect_infra.facts.cron import next_runs

START = datetime(2025, 1, 1)
KINDS = {"F": "full", "D": "diff"}
"""How a backup's label ends."""
WEEKS = 6
"""Long enough to tell any two weekly schedules apart."""


def kind_of(control):
    return f"--type={control.key}"


def jobs_of(control, facts):
    return [job for job in facts.cron.having("pgbackrest") if kind_of(control) in job.command]


@pytest.mark.controls(component="cron.pgbackrest")
def test_cron_has_the_documented_job_and_no_other_of_its_kind(control, facts, found):
    lines = found([job.line for job in jobs_of(control, facts)])
    assert [control.parse(line) for line in lines] == [control.value]


@pytest.mark.controls(component="cron.pgbackrest")
def test_it_runs_next_at_the_documented_times(control, facts, found):
    documented = next_runs(" ".join(control.value[:5]), START, 7 * WEEKS)
    jobs = jobs_of(control, facts)
    assert jobs, "no such job"
    for job in jobs:
        due = job.runs(START, 7 * WEEKS)
        found(due[0].isoformat())
        assert due == documented, f"{job.schedule!r} is due at other times"


@pytest.mark.controls(component="cron.pgbackrest")
def test_no_other_line_calls_pgbackrest(control, facts, found):
    stray = {
        f"{job.path}: {job.line}"
        for job in facts.cron.having("pgbackrest")
        if "--type=full" not in job.command and "--type=diff" not in job.command
    }
    assert found(stray) == set()


@pytest.mark.controls(component="cron.pgbackrest")
def test_cron_runs_and_reads_the_table(control, facts, found):
    assert facts.units["cron.service"].runs, found(facts.units["cron.service"].state)
    ignored = {path: why for path, why in facts.cron.ignored.items() if "pgbackrest" in path}
    assert ignored == {}, f"cron ignores {ignored}"


@pytest.mark.intrusive
@pytest.mark.controls(component="cron.pgbackrest")
def test_the_documented_command_makes_a_backup(control, as_root, found):
    as_user, command = f"cd / && runuser -u {control.value[5]} --", " ".join(control.value[6:])
    # A backup starts with a checkpoint; without this one it would wait for the next in its turn.
    as_root(f"{as_user} psql -XAtqc CHECKPOINT")
    before = labels(as_root, as_user)
    as_root(f"{as_user} {command}", timeout=900.0)
    made = labels(as_root, as_user) - before
    kind = control.key if any(label.endswith("F") for label in before) else "full"
    # It stays, for retention to remove: pgBackRest makes no differential backup to an older full
    # one when a newer one was removed by hand.
    assert found([KINDS[label[-1]] for label in made]) == [kind]


def labels(as_root, as_user):
    info = f"{as_user} pgbackrest info --stanza=connect --output=json"
    return {backup["label"] for backup in json.loads(as_root(info))[0]["backup"]}
