"""Recorded output of pgBackRest, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import pgbackrest


def test_the_stanza_and_its_backups(recorded):
    facts = pgbackrest.parse(recorded("pgbackrest"))
    assert (facts.code, facts.status) == (0, "ok")
    assert [backup.type for backup in facts.backups][:1] == ["full"]
    assert facts.backups[0].stopped >= facts.backups[0].started
    assert facts.archives[0][0] == "000000010000000000000001"


def test_the_files_options_by_section(recorded):
    facts = pgbackrest.parse(recorded("pgbackrest"))
    assert facts.option("global", "repo1-retention-full") == "7"
    assert facts.option("connect", "pg1-port") == "5432"
    assert facts.option("global", "pg1-port") is None


def test_what_the_tool_itself_takes(recorded):
    facts = pgbackrest.parse(recorded("pgbackrest"))
    assert facts.takes("repo1-path") == "/opt/connect/backup/pgbackrest"
    assert facts.takes("log-level-file") == "debug"
    assert facts.takes("pg1-path") == "/var/lib/postgresql/15/main"
    assert facts.takes("compress-type") is None


def test_a_later_file_wins():
    text = "\n@@a.conf\n[global]\nrepo1-type=posix\n\n@@b.conf\n[global]\nrepo1-type=s3\n"
    assert pgbackrest.read_files(text) == {"global": {"repo1-type": "s3"}}


def test_a_passphrase_is_hidden():
    text = "[global]\nrepo1-cipher-pass=s3cret\n"
    assert pgbackrest.read_files(text) == {"global": {"repo1-cipher-pass": "(hidden)"}}


def test_no_stanza_is_an_error(recorded):
    with pytest.raises(ObservationError, match="stanza connect"):
        pgbackrest.parse(recorded("pgbackrest", info="[]"))
