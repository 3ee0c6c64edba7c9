"""Architecture v2.0, 4.2, 4.3, 7 and 8: the procedures are on the host, and it is fit for them.

That they do what they promise is shown where hosts may be broken: tests/lab/test_operations_*.py.
"""

import pytest

SCRIPTS = {
    "operations.pre-deployment_check": "pre-deployment-check.sh",
    "operations.deploy": "deploy.sh",
    "operations.health_check": "health-check.sh",
    "operations.maintenance": "maintenance.sh",
    "operations.emergency_rollback": "rollback.sh",
    "operations.service_recovery": "service-recovery.sh",
    "recovery.system_backup": "backup-system.sh",
    "recovery.database_recovery": "restore-database.sh",
    "recovery.application_recovery": "restore-system.sh",
}
KEPT_DAYS = 31
"""30, and a day until the next backup removes what is older."""


@pytest.mark.controls(*SCRIPTS)
def test_its_script_is_there_and_says_how_it_is_used(control, facts, found):
    name = SCRIPTS[control.id]
    said = found(facts.operations.usage.get(name, "missing"))
    assert said.startswith(f"Usage: {name} ")


@pytest.mark.controls(*SCRIPTS)
def test_only_root_may_change_what_root_runs(control, facts, found):
    names = (f"scripts/{SCRIPTS[control.id]}", "scripts", "scripts/lib")
    found(", ".join(facts.layout.shown(name) for name in names))
    for name in names:
        entry = facts.layout.entries.get(name)
        assert entry is not None, f"{name} is missing"
        assert (entry.owner, entry.mode & 0o022) == ("root", 0)


@pytest.mark.controls("operations.deploy", "operations.emergency_rollback")
def test_none_was_left_half_way(control, facts, found):
    assert found(facts.operations.unfinished) == ""


@pytest.mark.controls("recovery.system_backup")
def test_the_system_is_backed_up_every_day_and_kept_for_a_month(control, facts, found):
    backups = facts.operations.backups
    found(f"{len(backups)} backups, {[round(one.days, 1) for one in backups]} days old")
    assert backups, "there is none"
    assert all(one.days <= KEPT_DAYS for one in backups[1:]), "some should have been removed"
    jobs = facts.cron.having("backup-system.sh")
    assert len(found([job.schedule for job in jobs])) == 1


@pytest.mark.controls("recovery.system_backup")
def test_nobody_else_reads_the_secrets_in_it(control, facts, found):
    open_to = {one.name: oct(one.mode) for one in facts.operations.backups if one.mode & 0o077}
    assert found(open_to) == {}
    assert {one.owner for one in facts.operations.backups} == {"root"}


@pytest.mark.controls("recovery.database_recovery")
def test_backups_are_restored_for_trial_every_week(control, facts, found):
    jobs = facts.cron.having("verify-backup.sh")
    assert len(found([job.schedule for job in jobs])) == 1


@pytest.mark.controls("operations.maintenance")
def test_maintenance_is_done_every_week(control, facts, found):
    jobs = facts.cron.having("maintenance.sh")
    assert len(found([job.schedule for job in jobs])) == 1
