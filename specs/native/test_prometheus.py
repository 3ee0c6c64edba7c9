"""Architecture v2.0, 5.1: Prometheus, as it reports its own configuration and what it sees."""

import re

import pytest

LOOPBACK = {"127.0.0.1", "::1"}
FEWEST = {"connect-app": 8}
"""Series that a job must bring; five of each are about the scrape itself, not from the target."""
USUAL = 8
MANY = 50
"""A Redis server brings 300 series; an exporter that has lost it brings 14."""


def job_of(control):
    match = re.fullmatch(r"scrape\[(.+)\]\.(?:target|metrics_path)", control.key)
    return match and match[1]


def is_target(control):
    return control.key.endswith("].target")


def is_elsewhere(control):
    return not is_target(control) and control.key not in {"version", "user"}


def written(control, prometheus):
    """What the file says of a control that is no target."""
    file, key = prometheus.file, control.key
    if key.startswith("global."):
        return file["global"].get(key.removeprefix("global."))
    if key == "rule_files":
        return " ".join(file["rule_files"])
    if key == "alerting.alertmanagers":
        configs = [
            each for one in file["alerting"]["alertmanagers"] for each in one["static_configs"]
        ]
        return " ".join(target for config in configs for target in config["targets"])
    return prometheus.written_job(job_of(control)).get("metrics_path")


def release(text):
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


@pytest.mark.controls(
    component="prometheus", where=["global.scrape_interval", "global.evaluation_interval"]
)
def test_it_runs_with(control, facts, found):
    value = facts.prometheus.config["global"][control.key.removeprefix("global.")]
    assert control.parse(found(value)) == control.value


@pytest.mark.controls("prometheus.global.scrape_interval")
def test_no_job_is_scraped_at_another_interval(control, facts, found):
    intervals = {target.job: target.interval for target in facts.prometheus.targets}
    assert {control.parse(value) for value in found(intervals).values()} == {control.value}


@pytest.mark.controls(component="prometheus", where=is_target)
def test_the_job_scrapes(control, facts, found):
    job = job_of(control)
    assert control.value in found([target.address for target in facts.prometheus.job(job)])


@pytest.mark.controls(component="prometheus", where=is_target)
def test_the_file_would_bring_the_same_target_again(control, facts, found):
    configs = facts.prometheus.written_job(job_of(control))["static_configs"]
    targets = [target for config in configs for target in config["targets"]]
    assert control.value in found(targets), "prometheus.yml has another target"


@pytest.mark.controls(component="prometheus", where=is_elsewhere)
def test_the_file_would_bring_the_same_value_again(control, facts, found):
    assert found(written(control, facts.prometheus)) == control.expected, "the file has another"


@pytest.mark.controls(component="prometheus", where=is_target)
def test_the_target_is_up(control, facts, found):
    (target,) = facts.prometheus.job(job_of(control))
    assert found(target.health) == "up", target.error


@pytest.mark.controls(component="prometheus", where=is_target)
def test_the_target_brings_series(control, facts, found):
    job = job_of(control)
    assert found(facts.prometheus.series.get(job, 0)) >= FEWEST.get(job, USUAL)


@pytest.mark.controls(component="prometheus", where=is_target)
def test_the_target_is_not_open_to_other_hosts(control, facts, found):
    port = int(control.expected.rpartition(":")[2])
    addresses = found({one.address for one in facts.host.listeners(port)})
    assert addresses, f"nothing listens on {port}"
    assert addresses <= LOOPBACK, "it is open to other hosts"


@pytest.mark.controls("prometheus.scrape[redis-exporter].target")
def test_the_second_redis_is_seen_too(control, facts, found):
    (queue,) = facts.prometheus.job("redis-exporter-queue")
    assert found(queue.health) == "up", queue.error
    # The exporter answers also when its server does not: then with what is about itself only.
    assert found(facts.prometheus.series.get(queue.job, 0)) >= MANY, "the server does not answer"
    assert "6380" in queue.path


@pytest.mark.controls("prometheus.scrape[connect-app].metrics_path")
def test_the_application_is_asked_at(control, facts, found):
    (target,) = facts.prometheus.job("connect-app")
    assert found(target.path) == control.value


@pytest.mark.controls("prometheus.rule_files")
def test_rules_are_read_from(control, facts, found):
    assert found(facts.prometheus.config["rule_files"]) == [control.value]
    assert facts.prometheus.reloaded, "the last reload failed: an older configuration is in force"


@pytest.mark.controls("prometheus.alerting.alertmanagers")
def test_alerts_are_sent_to(control, facts, found):
    assert found(list(facts.prometheus.alertmanagers)) == [control.value]


@pytest.mark.controls("prometheus.alerting.alertmanagers")
def test_alertmanager_runs_and_starts_at_boot(control, facts, found):
    unit = facts.units["prometheus-alertmanager.service"]
    found(f"{facts.prometheus.alertmanager_version}: {unit.state}")
    assert facts.prometheus.alertmanager_version, "it does not answer on port 9093"
    assert unit.runs
    assert unit.starts_at_boot


@pytest.mark.controls("prometheus.alerting.alertmanagers")
def test_alertmanager_has_somebody_to_tell(control, facts, found):
    assert found(facts.prometheus.delivery) != (), "its receiver sends to nobody"


@pytest.mark.controls("prometheus.version")
def test_it_is_of_the_documented_release_or_newer(control, facts, found):
    assert release(found(facts.prometheus.version)) >= release(control.expected)


@pytest.mark.controls("prometheus.user")
def test_it_has_a_system_user_that_cannot_log_in(control, facts, found):
    account = facts.prometheus.account
    found(f"uid {account.uid}, shell {account.shell}")
    assert account.uid < 1000
    assert account.shell == "/bin/false"


@pytest.mark.controls("prometheus.user")
def test_the_user_owns_configuration_and_data(control, facts, found):
    assert found(dict(facts.prometheus.owners)) == {
        "/etc/prometheus": "prometheus",
        "/var/lib/prometheus": "prometheus",
    }
