"""The data is complete and verbatim, hangs together, and mistakes in it are named."""

import csv
import os
import re
from pathlib import Path

import pytest

from connect_infra.document import errata_page, load
from connect_infra.document.loading import DATA, SECTIONS_OF_S, read
from connect_infra.document.values import GIB
from connect_infra.errors import DocumentError, ObservationError

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT.parent / "shared" / "documents" / "settings.tsv"

CONTROL = """
[[control]]
id = "redis.port"
section = "3.3"
key = "port"
documented = "6379"
kind = "setting"
type = "number"
"""
ERRATUM = """
[[erratum]]
id = "E01"
controls = ["redis.port"]
title = "A title"
kind = "changed"
documented = "This."
happens = "That."
instead = "The other."
test = "tests/lab/test_x.py::test_y"
"""


DOCUMENTS = {"native": "A", "containers": "S"}


@pytest.fixture
def table():
    if not SETTINGS.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the documents' settings.tsv is not at {SETTINGS}")
        pytest.skip(f"no {SETTINGS} beside this checkout; CI holds the data against it")
    with SETTINGS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("topology", DOCUMENTS)
def test_every_row_of_a_document_is_a_control_and_verbatim(table, topology):
    def as_row(control):
        return {
            "id": control.id,
            "document": control.document,
            "section": control.section,
            "component": control.component,
            "key": control.key,
            "value": control.documented.rstrip(),  # the table has no trailing blanks
            "kind": control.kind,
        }

    documented = (one for one in load(topology).controls.values() if one.kind != "derived")
    rows = [row for row in table if row["document"] == DOCUMENTS[topology]]
    assert rows
    assert {control.id: as_row(control) for control in documented} == {
        row["id"]: row for row in rows
    }


def test_a_control_belongs_to_one_topology():
    native, containers = load("native"), load("containers")
    assert not native.controls.keys() & containers.controls.keys()
    assert load() is native
    assert {one.id for one in native.component("host")} < native.controls.keys()
    assert {one.id for one in containers.component("host")} < containers.controls.keys()


def test_controls_of_document_s_stand_in_the_order_of_its_headings():
    sections = list(dict.fromkeys(one.section for one in load("containers").controls.values()))
    assert tuple(sections) == SECTIONS_OF_S


def test_the_blank_that_ends_the_log_line_prefix_is_kept():
    assert load().controls["postgresql.log_line_prefix"].documented.endswith("client=%h ")


def test_the_errata_page_is_current():
    assert errata_page.PAGE.read_text(encoding="utf-8") == errata_page.page(
        [load(), load("containers")]
    )


def test_every_erratum_names_a_test_that_exists():
    missing = []
    for erratum in (*load().errata.values(), *load("containers").errata.values()):
        path, _, name = erratum.test.partition("::")
        file = ROOT / path
        if not file.exists() or not re.search(rf"^def {name}\(", file.read_text(), re.MULTILINE):
            missing.append(f"{erratum.id}: {erratum.test}")
    assert missing == []


def test_errata_stand_in_the_order_of_their_numbers():
    native, containers = list(load().errata), list(load("containers").errata)
    assert native == sorted(native)
    assert containers == sorted(containers)
    assert not set(native) & set(containers)


def test_scaled_expectations_are_the_hosts_share_and_the_rest_is_documented():
    document = load()
    documented = document.on("documented", None, lab=False)
    scaled = document.on("scaled", 8 * GIB, lab=False)
    changed = {name for name in scaled if scaled[name].expected != documented[name].expected}
    assert changed == {name for name, control in document.controls.items() if control.scaled}
    assert scaled["postgresql.shared_buffers"].expected == "1536MB"
    assert scaled["redis-cache.maxmemory"].value == 960 * 2**20
    assert documented["postgresql.shared_buffers"].value == 24 * GIB


def test_scaled_without_memory_is_refused():
    with pytest.raises(DocumentError, match="memory"):
        load().on("scaled", None, lab=False)


def test_the_lab_is_excused_from_what_it_cannot_have_and_from_nothing_else():
    on_lab = load().on("scaled", 8 * GIB, lab=True)
    excused = {name: each.reason for name, each in on_lab.items() if not each.applicable}
    hardware = {"host.os", "host.cpu", "host.memory", "host.disk", "host.network"}
    assert set(excused) == hardware | {"connect.service.LimitNOFILE"}
    assert all(excused.values())
    assert all(each.applicable for each in load().on("documented", None, lab=False).values())


def test_a_docker_host_of_the_lab_is_excused_from_what_it_cannot_have():
    on_lab = load("containers").on("scaled", 8 * GIB, lab=True)
    excused = {name for name, each in on_lab.items() if not each.applicable}
    hardware = {"os", "docker", "docker_compose", "memory", "storage"}
    assert excused == {f"bluegreen.host.{name}" for name in hardware} | {"containers.grafana"}


def test_the_targets_domain_takes_the_place_of_the_placeholder():
    expectations = load().on("documented", None, lab=False, domain="connect.example.com")
    name = "nginx.site443.server_name"
    assert expectations[name].value == ("connect.example.com", "www.connect.example.com")
    assert not [each.id for each in expectations.values() if "your-domain" in each.expected]


def test_an_observation_in_the_services_own_word_is_the_documented_value():
    wal_compression = load().on("documented", None, lab=False)["postgresql.wal_compression"]
    assert wal_compression.parse("pglz") is wal_compression.value
    assert wal_compression.parse("off") is not wal_compression.value


def test_an_observation_that_is_no_value_is_an_error_and_not_a_mismatch():
    with pytest.raises(ObservationError, match=r"redis-cache\.port: expected .*'PONG'"):
        load().on("documented", None, lab=False)["redis-cache.port"].parse("PONG")


def test_a_component_that_is_not_documented_is_refused():
    assert len(load().component("redis-cache")) == 15
    with pytest.raises(DocumentError, match="mysql"):
        load().component("mysql")


def test_controls_know_the_erratum_in_force_and_the_refuted_ones_are_only_listed():
    document = load()
    assert document.controls["postgresql.archive_command"].erratum == "E01"
    assert document.controls["postgresql.max_connections"].erratum is None
    refuted = next(each for each in document.errata.values() if each.kind == "refuted")
    control = document.controls[refuted.controls[0]]
    assert control.erratum != refuted.id
    assert refuted in document.errata_of(control.id)


def written(tmp_path, control=CONTROL, erratum=ERRATUM):
    (tmp_path / "redis.toml").write_text(control, encoding="utf-8")
    (tmp_path / "errata.toml").write_text(erratum, encoding="utf-8")
    return tmp_path


def test_a_changed_value_needs_an_erratum_that_names_it(tmp_path):
    changed = CONTROL + 'expected = "6380"\n'
    document = read(written(tmp_path, changed))
    assert document.on("documented", None, lab=False)["redis.port"].expected == "6380"
    with pytest.raises(DocumentError, match=r"redis\.toml, redis\.port, expected:"):
        read(written(tmp_path, changed, ERRATUM.replace("changed", "addition")))


@pytest.mark.parametrize(
    ("control", "erratum", "named"),
    [
        (CONTROL + "colour = 1\n", ERRATUM, "redis.toml, redis.port, colour:"),
        (CONTROL + "scaled = true\n", ERRATUM, "redis.toml, redis.port, the whole table:"),
        (CONTROL + 'scaled = "yes"\n', ERRATUM, "redis.toml, redis.port, scaled:"),
        (CONTROL + 'floor = "1MB"\n', ERRATUM, "redis.toml, redis.port, the whole table:"),
        (CONTROL + 'unit = "s"\n', ERRATUM, "redis.toml, redis.port, the whole table:"),
        (CONTROL + 'erratum = "E01"\n', ERRATUM, "redis.toml, redis.port, erratum:"),
        (CONTROL.replace("6379", "many"), ERRATUM, "expected a number, found 'many'"),
        (CONTROL.replace('type = "number"', ""), ERRATUM, "redis.toml, redis.port, type:"),
        (CONTROL.replace("number", "float"), ERRATUM, "redis.toml, redis.port, type:"),
        (CONTROL.replace("id =", "name ="), ERRATUM, "redis.toml, a table without id,"),
        (CONTROL + CONTROL, ERRATUM, "redis.port, id:"),
        ("[[control]\n", ERRATUM, "redis.toml: expected readable TOML"),
        ("", ERRATUM, "redis.toml: expected [[control]] tables"),
        ("control = [1]\n", ERRATUM, "redis.toml: expected [[control]] tables"),
        ("[control]\nid = 1\n", ERRATUM, "redis.toml: expected [[control]] tables"),
        (CONTROL, ERRATUM.replace("redis.port", "redis.prot"), "errata.toml, E01, controls:"),
        (CONTROL, ERRATUM.replace("addition", "x").replace("changed", "x"), "E01, kind:"),
        (CONTROL, ERRATUM.replace("E01", "one"), "errata.toml, one, id:"),
        (CONTROL, ERRATUM.replace("::", ":"), "errata.toml, E01, test:"),
        (CONTROL, ERRATUM + ERRATUM, "errata.toml, E01, id:"),
    ],
)
def test_a_mistake_names_file_control_and_field(tmp_path, control, erratum, named):
    with pytest.raises(DocumentError) as refused:
        read(written(tmp_path, control, erratum))
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_data_has_no_stray_files():
    assert {path.suffix for path in DATA.rglob("*") if path.is_file()} == {".toml"}
