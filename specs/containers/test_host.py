"""Deployment strategy v1.0, Infrastructure: the machine, the engine and Compose."""

import re

import pytest

GIGA = 10**9


@pytest.mark.controls("bluegreen.host.os")
def test_the_operating_system(control, facts, found):
    shown = found(facts.host.os.get("VERSION", facts.host.os["VERSION_ID"]))
    assert facts.host.os["ID"] == "ubuntu"
    assert shown.startswith(control.expected.removeprefix("Ubuntu "))


@pytest.mark.controls("bluegreen.host.docker")
def test_the_engine(control, facts, found):
    assert found(facts.docker.version) == control.expected


@pytest.mark.controls("bluegreen.host.docker_compose")
def test_compose(control, facts, found):
    assert found(facts.docker.compose_version.removeprefix("v")) == control.expected.lstrip("v")


@pytest.mark.controls("bluegreen.host.memory")
def test_the_memory(control, facts, found):
    documented = int(control.expected.split()[0]) * GIGA
    assert found(facts.host.memory) >= documented * 0.97, "a kernel keeps some, not so much"


@pytest.mark.controls("bluegreen.host.storage")
def test_the_disks(control, facts, found):
    sizes = [float(size) for size in re.findall(r"([\d.]+) [GT]B", control.expected)]
    root, backup = sizes[0] * GIGA, sizes[1] * 1000 * GIGA
    found([f"{one.name} {one.size // GIGA} GB" for one in facts.host.disks])
    assert any(not one.rotational and one.size >= root * 0.97 for one in facts.host.disks)
    assert any(one.rotational and one.size >= backup * 0.97 for one in facts.host.disks)
