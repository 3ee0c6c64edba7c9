"""Architecture v2.0, 4.1: pgBackRest, its options and what really arrives in its repository."""

import pytest

REPOSITORY = "/opt/connect/backup/pgbackrest"
AS_POSTGRES = "cd / && runuser -u postgres --"


@pytest.mark.controls(component="pgbackrest")
def test_the_tool_takes(control, facts, found):
    text = facts.pgbackrest.takes(control.key.partition(".")[2])
    assert text is not None, "the tool is left to its own default"
    assert control.parse(found(text)) == control.value


@pytest.mark.controls(component="pgbackrest")
def test_the_documented_section_sets(control, facts, found):
    section, _, name = control.key.partition(".")
    text = facts.pgbackrest.option(section, name)
    assert text is not None, f"no configuration file sets {name} in [{section}]"
    assert control.parse(found(text)) == control.value


@pytest.mark.controls(component="pgbackrest")
def test_no_other_section_says_otherwise(control, facts, found):
    name = control.key.partition(".")[2]
    others = {
        f"[{section}] {options[name]}"
        for section, options in facts.pgbackrest.config.items()
        if name in options and control.parse(options[name]) != control.value
    }
    assert found(others) == set(), "another section sets another value"


@pytest.mark.controls("pgbackrest.connect.pg1-path")
def test_the_server_has_its_data_there(control, facts, found):
    running = facts.postgresql.settings["data_directory"].value
    assert control.parse(found(running)) == control.value


@pytest.mark.controls("pgbackrest.connect.pg1-port")
def test_the_server_answers_on_that_port(control, facts, found):
    assert control.parse(found(facts.postgresql.settings["port"].value)) == control.value


@pytest.mark.controls("pgbackrest.global.repo1-path")
def test_the_repository_holds_the_stanza(control, facts, found):
    assert found(facts.pgbackrest.code) in {0, 2}, facts.pgbackrest.status
    assert facts.pgbackrest.archives, "the repository has no WAL archive of the stanza"


@pytest.mark.intrusive
@pytest.mark.controls("pgbackrest.global.repo1-path", "postgresql.archive_command")
def test_a_wal_segment_is_archived(control, as_root, eventually, found):
    psql = f"{AS_POSTGRES} psql -XAtqc"
    point = "SELECT pg_walfile_name(pg_create_restore_point('connect_infra_probe'))"
    segment = as_root(f'{psql} "{point}"')
    as_root(f'{psql} "SELECT pg_switch_wal()"')
    listing = f"find {REPOSITORY}/archive/connect -name '{segment}-*' | wc -l"
    assert found(eventually(lambda: int(as_root(listing)))) == 1, f"{segment} did not arrive"


@pytest.mark.intrusive
@pytest.mark.controls("pgbackrest.global.repo1-path")
def test_the_tools_own_check_passes(control, as_root, found):
    found(as_root(f"{AS_POSTGRES} pgbackrest check --stanza=connect", timeout=120.0))
