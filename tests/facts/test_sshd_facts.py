"""Recorded output of sshd, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import sshd
from connect_infra.facts.base import Output


def test_a_setting_has_one_value_for_all_logins(recorded):
    facts = sshd.parse(recorded("sshd"))
    assert list(facts.values("PasswordAuthentication")) == ["no"]
    assert facts.values("AllowUsers") == {
        "connect": "connect@127.0.0.1 connect@192.0.2.1 root@192.0.2.1 nobody@2001:db8::1"
    }
    assert (facts.protocol, facts.software.startswith("OpenSSH_9")) == ("2.0", True)


def test_a_match_block_shows(recorded):
    text = recorded("sshd")["effective"].stdout
    head, rest = text.split("@@ root 192.0.2.1\n")
    changed = rest.replace("permitrootlogin no", "permitrootlogin yes", 1)
    facts = sshd.parse(recorded("sshd", effective=f"{head}@@ root 192.0.2.1\n{changed}"))
    assert facts.values("PermitRootLogin")["yes"] == "root@192.0.2.1"


def test_a_setting_that_is_given_twice_keeps_both_values(recorded):
    text = recorded("sshd")["effective"].stdout.replace("port 22\n", "port 22\nport 2222\n")
    facts = sshd.parse(recorded("sshd", effective=text))
    assert set(facts.values("Port")) == {"22 2222"}


def test_a_file_that_changed_after_the_daemon_loaded_shows(recorded):
    assert sshd.parse(recorded("sshd")).changed_since_loaded == ()
    files = "9999999999.5 /etc/ssh/sshd_config\n1.5 /etc/ssh/sshd_config.d/a.conf\n"
    assert sshd.parse(recorded("sshd", files=files)).changed_since_loaded == (
        "/etc/ssh/sshd_config",
    )


def test_version_1_of_the_protocol_would_show(recorded):
    facts = sshd.parse(recorded("sshd", greeting="SSH-1.99-OpenSSH_3.9\n"))
    assert facts.protocol == "1.99"


def test_an_sshd_that_refuses_its_file_is_an_error(recorded):
    refused = Output(255, "", "/etc/ssh/sshd_config line 3: Bad configuration option: Prot")
    with pytest.raises(ObservationError, match="Bad configuration option"):
        sshd.parse({**recorded("sshd"), "effective": refused})


def test_an_answer_for_too_few_logins_is_an_error(recorded):
    text = recorded("sshd")["effective"].stdout.rpartition("@@ ")[0]
    with pytest.raises(ObservationError, match="the settings of 4 logins"):
        sshd.parse(recorded("sshd", effective=text))
