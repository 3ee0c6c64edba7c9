"""The drifts' data: every control that the lab asserts is broken, or an argument says why not."""

import re
import subprocess
from pathlib import Path

import pytest

from connect_infra import document
from connect_infra.drift import ways
from connect_infra.drift.verdicts import IMPOSSIBLE_AT_MOST, function_of
from connect_infra.errors import DocumentError
from connect_infra.lab.hosts import MEMORY_BYTES
from connect_infra.report.collection import collected

CONTROL = "redis-cache.timeout"
WAY = """
[[way]]
name = "changed"
kind = "running"
make = "true"
landed = "true"
[way.changes]
"redis-cache.timeout" = "55"
"""


@pytest.fixture(scope="module", params=ways.FOLDERS)
def topology(request):
    return request.param


@pytest.fixture(scope="module")
def expectations(topology):
    return document.load(topology).on("scaled", MEMORY_BYTES, lab=True)


@pytest.fixture(scope="module")
def everything():
    return collected()


@pytest.fixture(scope="module")
def specs(topology, everything):
    known = document.load(topology).controls
    return {name: tests for name, tests in everything.items() if name in known}


@pytest.fixture
def data(tmp_path):
    """Write files of drifts and read them."""

    def read(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return ways.read(tmp_path)

    return read


def real(topology="native"):
    return [drift for drift in ways.load(topology).drifts if drift.way.kind != "harmless"]


def test_every_control_that_the_lab_asserts_is_broken_or_argued(topology, expectations, specs):
    asserted = {name for name in specs if expectations[name].applicable}
    broken = {drift.control for drift in real(topology)}
    impossible = ways.load(topology).impossible
    assert asserted - broken - set(impossible) == set()
    assert len(impossible) <= IMPOSSIBLE_AT_MOST * len(asserted)


def test_what_can_be_wrong_running_and_on_disk_is_broken_both_ways():
    kinds = {}
    for drift in real():
        kinds.setdefault(drift.control, set()).add(drift.way.kind)
    one_sided = {
        name
        for name, known in kinds.items()
        if not ({"both", "running"} & known and {"both", "file"} & known)
    }
    assert {name for name in one_sided if not name.startswith("env.")} == ONE_SIDED


ONE_SIDED = {
    *("layout.current", "postgresql.database", "postgresql.packages"),
    *("prometheus.version", "prometheus.user"),
}
"""What is no setting of a service that has a file: a link, a catalog's row, a package, a user; and
the environment file, which no service keeps."""


def test_every_intrusive_spec_that_is_named_exists(topology, specs):
    known = {function_of(name) for names in specs.values() for name in names}
    named = {name for drift in ways.load(topology).drifts for name in drift.way.intrusive}
    assert named - known == set()
    assert set(ways.load(topology).spared) - known == set()


def test_no_drift_has_the_expected_value(topology, expectations):
    same = []
    for drift in real(topology):
        try:
            value = expectations[drift.control].control.parse(drift.value)
        except ValueError:
            continue
        if value == expectations[drift.control].value and drift.shows == drift.value:
            same.append((drift.control, drift.name))
    assert same == []


def test_the_scripts_are_shell(topology):
    functions = (ways.DATA / "functions.sh").read_text(encoding="utf-8")
    scripts = [functions]
    for way in {id(drift.way): drift.way for drift in ways.load(topology).drifts}.values():
        scripts += [way.make, way.activate, way.landed, way.restore, way.settle]
    for number, script in enumerate(scripts):
        done = subprocess.run(
            ["/bin/sh", "-n"], input=script, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{number}: {script}\n{done.stderr}"


def test_a_group_is_a_ways_changes_without_some(data):
    text = WAY.replace(
        "[way.changes]", 'group = "some"\nwithout = ["redis-cache.port"]\n[way.changes]'
    )
    groups = '[group.some]\n"redis-cache.port" = "1"\n"redis-cache.bind" = "::1"\n'
    found = data(redis=groups + text).drifts
    assert {drift.control: drift.shows for drift in found} == {
        "redis-cache.bind": "::1",
        "redis-cache.timeout": "55",
    }


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ('"55"', "55"),
        ('{value = "55", shows = "fifty-five"}', "fifty-five"),
    ],
)
def test_what_must_be_shown(data, change, shown):
    (drift,) = data(redis=WAY.replace('"55"', change)).drifts
    assert (drift.value, drift.shows) == ("55", shown)


def test_a_way_may_say_what_must_be_shown(data):
    (drift,) = data(redis=WAY.replace("make =", 'shows = "red"\nmake =')).drifts
    assert drift.shows == "red"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WAY.replace(CONTROL, "redis-cache.timeot"), "the id of a documented control"),
        (WAY + WAY, "a name for each way of breaking a control"),
        (WAY.replace('kind = "running"', 'kind = "odd"'), "'odd'"),
        (WAY.replace('landed = "true"\n', ""), "landed"),
        (WAY.replace("[way.changes]", 'group = "no"\n[way.changes]'), "'no'"),
        (WAY.replace('"redis-cache.timeout" = "55"', ""), "a group or changes"),
        (
            f'[[impossible]]\ncontrol = "{CONTROL}"\nreason = "nobody has thought about it"\n{WAY}',
            "a drift or a reason why there is none",
        ),
        ('[[impossible]]\ncontrol = "host.kernal"\nreason = "a typo in the name of it"', "kernal"),
        ('[[impossible]]\ncontrol = "host.kernel"\nreason = "no"', "at least 20 characters"),
    ],
)
def test_a_mistake_in_the_data_is_one_line(data, text, message):
    with pytest.raises(DocumentError, match=message) as refused:
        data(redis=text)
    assert "\n" not in str(refused.value)


def test_a_sample_is_the_same_for_a_seed():
    everything = ways.load()
    first, again = everything.sample(30, 7), everything.sample(30, 7)
    assert first == again
    assert len(first.drifts) == 30
    assert first != everything.sample(30, 8)


def test_the_data_lies_beside_its_code():
    assert Path(ways.__file__).parent in ways.DATA.parents


def test_what_is_run_once_for_many_changes_does_not_depend_on_one():
    several = {}
    for drift in ways.load().drifts:
        several.setdefault((id(drift.way), drift.component), []).append(drift)
    used = re.compile(r"\$\{?(ID|KEY|NAME|EXPECTED|VALUE)\b")
    wrong = [
        (drifts[0].component, drifts[0].name)
        for drifts in several.values()
        if len(drifts) > 1 and not drifts[0].way.alone
        for script in (drifts[0].way.activate, drifts[0].way.settle)
        if used.search(script)
    ]
    assert wrong == []
