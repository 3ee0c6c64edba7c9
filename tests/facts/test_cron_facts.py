"""Recorded output of cron's tables, read as facts."""

import contextlib
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_infra.errors import ObservationError
from connect_infra.facts import cron
from connect_infra.facts.base import Output

MONDAY = datetime(2025, 1, 6)


def tables(header, *lines):
    text = "".join(f"|{line}\n" for line in lines)
    return {"tables": Output(0, f"{header}\n{text}", "")}


def test_the_documented_jobs(recorded):
    jobs = cron.parse(recorded("cron")).having("pgbackrest")
    assert [job.line for job in jobs] == [
        "0 2 * * 0 postgres pgbackrest backup --stanza=connect --type=full",
        "0 2 * * 1-6 postgres pgbackrest backup --stanza=connect --type=diff",
    ]


def test_when_they_run_next(recorded):
    full, diff = cron.parse(recorded("cron")).having("pgbackrest")
    assert full.runs(MONDAY, 1) == [datetime(2025, 1, 12, 2)]
    assert diff.runs(MONDAY, 7)[5:] == [datetime(2025, 1, 11, 2), datetime(2025, 1, 13, 2)]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("@@644 root /etc/cron.d/a.conf 0a", "a character that cron does not accept"),
        ("@@644 postgres /etc/cron.d/a 0a", "belongs to postgres"),
        ("@@666 root /etc/cron.d/a 0a", "others than its owner"),
        ("@@644 root /etc/cron.d/a 6c", "its last line has no end"),
    ],
)
def test_a_table_that_cron_ignores(header, reason):
    facts = cron.parse(tables(header, "0 2 * * 0 postgres pgbackrest backup"))
    assert facts.jobs == ()
    assert reason in next(iter(facts.ignored.values()))


def test_a_users_own_table_has_no_user_field():
    header = "@@600 postgres /var/spool/cron/crontabs/postgres 0a"
    (job,) = cron.parse(tables(header, "MAILTO=x", "@daily  pgbackrest info")).jobs
    assert (job.user, job.schedule, job.command) == ("postgres", "@daily", "pgbackrest info")


def test_an_impossible_schedule_is_an_error():
    with pytest.raises(ObservationError, match="a cron schedule"):
        cron.next_runs("61 2 * * 0", MONDAY, 1)


def test_a_line_without_a_command_is_an_error():
    with pytest.raises(ObservationError, match=r"a job in /etc/cron\.d/a"):
        cron.parse(tables("@@644 root /etc/cron.d/a 0a", "0 2 * * 0"))


@given(schedule=st.text(max_size=30) | st.from_regex(r"[-*/,0-9A-Z@? ]{1,20}", fullmatch=True))
def test_a_junk_schedule_is_refused_or_due(schedule):
    with contextlib.suppress(ObservationError):
        assert cron.next_runs(schedule, MONDAY, 1)[0] > MONDAY
