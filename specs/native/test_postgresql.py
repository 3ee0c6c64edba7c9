"""Architecture v2.0, 3.1: PostgreSQL 15, its settings, role and database."""

import pytest

OURS = "/etc/postgresql/15/main/"
NOT_SETTINGS = {"packages", "role", "database"}
SERVERS_OWN = {
    *("max_connections", "shared_buffers", "max_wal_size", "checkpoint_timeout"),
    *("checkpoint_completion_target", "wal_level", "archive_mode", "archive_command"),
    *("log_line_prefix", "log_checkpoints", "log_connections", "log_disconnections"),
}
"""PostgreSQL refuses to set these for a role or a database."""
ROLE = DATABASE = "connect"


def is_setting(control):
    return control.key not in NOT_SETTINGS


@pytest.mark.controls(component="postgresql", where=is_setting)
def test_the_server_runs_with(control, facts, found):
    setting = facts.postgresql.settings[control.key]
    assert control.parse(found(setting.value)) == control.value
    line = facts.postgresql.on_disk(control.key)
    waiting = line.setting if line else "the default"
    assert not setting.pending_restart, f"{waiting} waits for a restart"


@pytest.mark.controls(component="postgresql", where=is_setting)
def test_the_value_comes_from_our_configuration(control, facts, found):
    setting = facts.postgresql.settings[control.key]
    assert (setting.sourcefile or setting.source).startswith(OURS), (
        f"the value {found(setting.value)!r} comes from {setting.sourcefile or setting.source}"
    )


@pytest.mark.controls(component="postgresql", where=is_setting)
def test_the_files_would_bring_the_same_value_again(control, facts, found):
    line = facts.postgresql.on_disk(control.key)
    assert line is not None, "no configuration file sets it"
    meant = facts.postgresql.meant(control.key, found(line.setting))
    assert control.parse(meant) == control.value, f"{line.sourcefile} has another"


def is_for_roles(control):
    return is_setting(control) and control.key not in SERVERS_OWN


@pytest.mark.controls(component="postgresql", where=is_for_roles)
def test_no_role_or_database_gets_another_value(control, facts, found):
    overridden = [
        f"{found(one.value)} for role {one.role or 'any'} in database {one.database or 'any'}"
        for one in facts.postgresql.overridden(control.key)
        if control.parse(facts.postgresql.meant(control.key, one.value)) != control.value
    ]
    assert overridden == [], f"overridden: {', '.join(overridden)}"


@pytest.mark.controls("postgresql.packages")
def test_the_documented_packages_are_installed(control, facts, found):
    installed = {name for name in control.value if name in facts.host.packages}
    assert found(installed) == control.value


@pytest.mark.controls("postgresql.packages")
def test_the_server_is_of_the_documented_release(control, facts, found):
    assert found(facts.postgresql.version).split(".")[0] == "15"


@pytest.mark.controls("postgresql.role")
def test_the_role_logs_in_by_a_password_kept_as_scram(control, facts, found):
    role = facts.postgresql.roles.get(ROLE)
    assert found(role), "there is no such role"
    assert role.login, "it may not log in"
    assert role.password == "scram-sha-256", f"its password is kept as {role.password}"


@pytest.mark.controls("postgresql.role")
def test_the_role_has_no_right_that_an_application_does_not_need(control, facts, found):
    role = facts.postgresql.roles[ROLE]
    rights = {"superuser", "createdb", "createrole", "replication"}
    assert found({right for right in rights if getattr(role, right)}) == set()


@pytest.mark.controls("postgresql.role")
def test_every_login_over_the_network_takes_a_password(control, facts, found):
    rules = facts.postgresql.hba
    assert [rule.error for rule in rules if rule.error] == []
    network = [rule for rule in rules if rule.type != "local"]
    methods = found(sorted({rule.method for rule in network}))
    assert set(methods) <= {"scram-sha-256", "cert", "reject"}, "pg_hba.conf lets others in"
    assert any({"all", DATABASE} & set(r.database) and {"all", ROLE} & set(r.user) for r in network)


@pytest.mark.controls("postgresql.database")
def test_the_database_belongs_to_its_role(control, facts, found):
    owner = facts.postgresql.databases.get(DATABASE, "nobody: there is no such database")
    assert found(f"{DATABASE}, owner {owner}") == control.value
