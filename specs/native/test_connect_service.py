"""Architecture v2.0, 3.4: connect.service, as systemd has it and as its process runs."""

import pytest

LISTS = {"connect.service.After", "connect.service.Wants", "connect.service.WantedBy"}
COMMANDS = {"ExecStart", "ExecReload", "ExecStop"}
WRITABLE = ("/opt/connect", "/run", "/tmp")


def name_of(control):
    return control.key.partition(".")[2]


def is_plain(control):
    environment = name_of(control) == "Environment"
    return control.id not in LISTS and name_of(control) not in COMMANDS and not environment


@pytest.mark.controls(component="connect.service", where=is_plain)
def test_systemd_has(control, facts, found):
    text = facts.connect_service.directive(name_of(control))
    assert control.parse(found(text)) == control.value


@pytest.mark.controls(*LISTS)
def test_systemd_orders_it_so(control, facts, found):
    text = facts.connect_service.directive(name_of(control))
    assert control.value <= control.parse(found(text))


@pytest.mark.controls(component="connect.service", where=lambda one: name_of(one) in COMMANDS)
def test_systemd_runs(control, facts, found):
    assert control.expected in found(facts.connect_service.commands(name_of(control)))


@pytest.mark.controls("connect.service.Environment.PATH", "connect.service.Environment.PM2_HOME")
def test_systemd_gives_it(control, facts, found):
    assert control.expected in found(facts.connect_service.directive("Environment")).split()
    assert control.expected in facts.connect_service.environment, "the process has another one"


@pytest.mark.controls("connect.service.EnvironmentFile")
def test_the_process_has_read_the_file(control, facts, found):
    assert found("NODE_ENV=production" in facts.connect_service.environment), "its values are not"


@pytest.mark.controls(component="connect.service")
def test_systemd_has_read_the_unit_on_disk(control, facts, found):
    assert found(facts.connect_service.properties["NeedDaemonReload"]) == "no"


@pytest.mark.controls("connect.service.User", "connect.service.Group")
def test_the_process_is_the_users(control, facts, as_root, found):
    number = {"User": ("Uid", "-u"), "Group": ("Gid", "-g")}[name_of(control)]
    wanted = as_root(f"id {number[1]} connect")
    assert set(found(facts.connect_service.status[number[0]]).split()) == {wanted}


@pytest.mark.controls("connect.service.NoNewPrivileges")
def test_the_process_gains_no_privileges(control, facts, found):
    assert found(facts.connect_service.status["NoNewPrivs"]) == "1"


@pytest.mark.controls("connect.service.LimitNOFILE", "connect.service.LimitNPROC")
def test_the_process_has_the_limit(control, facts, found):
    name = {"LimitNOFILE": "Max open files", "LimitNPROC": "Max processes"}[name_of(control)]
    assert control.parse(found(facts.connect_service.limits[name])) == control.value


@pytest.mark.controls("connect.service.ProtectSystem", "connect.service.ReadWritePaths")
def test_the_process_writes_nowhere_else(control, facts, found):
    mounts = facts.connect_service.mounts
    seen = {path: mounts[path].split(",")[0] for path in ("/", *WRITABLE) if path in mounts}
    assert found(seen) == {"/": "ro", **dict.fromkeys(WRITABLE, "rw")}


@pytest.mark.controls("connect.service.ProtectHome", "connect.service.Environment.PM2_HOME")
def test_the_process_sees_its_own_part_of_home_only(control, facts, as_root, found):
    pid = facts.connect_service.properties["MainPID"]
    seen = as_root(f"find /proc/{pid}/root/home -mindepth 1 -maxdepth 2 -printf '%P\\n' | sort")
    assert found(seen.split()) == ["connect", "connect/.pm2"]


@pytest.mark.controls("connect.service.PrivateTmp")
def test_the_process_has_a_tmp_of_its_own(control, facts, as_root, found):
    pid = facts.connect_service.properties["MainPID"]
    inodes = as_root(f"stat -c %d:%i /tmp /proc/{pid}/root/tmp").split()
    assert len(set(found(inodes))) == 2, "it shares the host's"


@pytest.mark.controls("connect.service.Restart", "connect.service.WantedBy")
def test_it_runs_and_starts_at_boot(control, facts, found):
    unit = facts.units["connect.service"]
    found(unit.state)
    assert unit.runs, "it does not run"
    assert unit.starts_at_boot, "it does not start at boot"


@pytest.mark.intrusive
@pytest.mark.controls("connect.service.Restart", "connect.service.RestartSec")
def test_it_comes_back_after_a_kill(control, dies_and_returns, site, eventually, found):
    assert found(dies_and_returns("connect.service")), "it stays down"
    assert eventually(lambda: site.ask("/api/health").status == 200), "the application does not"


@pytest.mark.intrusive
@pytest.mark.controls("connect.service.ExecReload")
def test_a_reload_loses_no_request(control, as_root, asking, found):
    statuses = []
    with asking("/api/health", statuses):
        as_root("systemctl reload connect.service")
    assert len(statuses) > 5
    assert found(sorted(set(statuses))) == [200]
