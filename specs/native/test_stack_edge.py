"""Architecture v2.0, 2.1: the edge and the application behind it, as one."""

import json
import re

import pytest

from connect_infra.facts import nginx

UNITS = {"stack.edge": "nginx.service", "stack.app": "connect.service"}
SLICE = re.compile(r"system\.slice/connect\.service$", re.MULTILINE)


@pytest.mark.controls(*UNITS)
def test_the_service_runs_and_starts_at_boot(control, facts, found):
    unit = facts.units[UNITS[control.id]]
    found(unit.state)
    assert unit.runs, "it does not run"
    assert unit.starts_at_boot, "it does not start at boot"


@pytest.mark.controls(*UNITS)
def test_the_service_is_started_again_when_it_dies(control, facts, found):
    restart = facts.units[UNITS[control.id]].restart
    assert found(f"Restart={restart}") in {"Restart=always", "Restart=on-failure"}


@pytest.mark.controls("stack.edge")
def test_nginx_holds_both_ports_and_nothing_else_open_to_others(control, facts, found):
    ours = {
        (one.port, one.address)
        for one in facts.host.listening
        if "nginx" in {name for name, _ in one.processes}
    }
    public = {port for port, address in ours if not address.startswith("127.")}
    assert found(public) == {80, 443}


@pytest.mark.controls("stack.edge")
def test_the_way_to_the_application_is_a_unix_socket(control, facts, found):
    servers = nginx.values(facts.nginx.main, "http > upstream connect_backend > server")
    assert found([" ".join(server) for server in servers]) == ["unix:/run/connect.sock"]


@pytest.mark.controls(*UNITS)
def test_a_client_gets_an_answer_through_all_of_it(control, kinds, found):
    answer = kinds.ask("api")
    assert found(answer.status) == 200
    assert json.loads(answer.body)["status"] in {"healthy", "ok"}


@pytest.mark.controls("stack.app")
def test_pm2_runs_a_cluster_with_a_process_a_processor(control, facts, found):
    processes = facts.pm2.connect
    assert {process.settings["exec_mode"] for process in processes} == {"cluster_mode"}
    assert {process.parent for process in processes} == {facts.pm2.daemon}
    assert found(len(processes)) == facts.host.threads


@pytest.mark.controls("stack.app")
def test_systemd_owns_every_process(control, facts, found):
    strays = {one.cgroup for one in facts.pm2.connect if not SLICE.search(one.cgroup)}
    assert found(strays) == set(), "processes of the application belong to another unit"
    assert facts.units["connect.service"].pid == facts.pm2.daemon


@pytest.mark.controls("stack.app")
def test_no_process_takes_more_than_its_share(control, facts, expectations, found):
    limit = expectations["pm2.max_memory_restart"].value
    most = found(max(process.memory for process in facts.pm2.connect))
    assert most < limit, "a process takes more than its share"


@pytest.mark.intrusive
@pytest.mark.controls(*UNITS)
def test_the_service_comes_back_after_a_kill(control, dies_and_returns, site, eventually, found):
    assert found(dies_and_returns(UNITS[control.id])), "it stays down"
    assert eventually(lambda: site.ask("/api/health").status == 200), "the site does not answer"
