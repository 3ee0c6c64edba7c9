"""Waivers: with an owner, a reason and an end, or an error."""

import datetime

import pytest

from connect_infra.errors import InventoryError
from connect_infra.targets import load_waivers

TODAY = datetime.date(2025, 11, 24)
KNOWN = ("host.os", "host.cpu")
WAIVER = """
[[waiver]]
control = "host.os"
owner = "Kim"
reason = "moves to 22.04 with the next server"
expires = 2025-11-24
"""


def read(tmp_path, text, today=TODAY):
    file = tmp_path / "waivers.toml"
    file.write_text(text, encoding="utf-8")
    return load_waivers(file, KNOWN, today)


def test_a_waiver_counts_until_the_end_of_its_last_day(tmp_path):
    waiver = read(tmp_path, WAIVER)["host.os"]
    assert (waiver.owner, waiver.expires) == ("Kim", TODAY)
    with pytest.raises(InventoryError, match=r"host\.os: .* of Kim that expired on 2025-11-24"):
        read(tmp_path, WAIVER, TODAY + datetime.timedelta(days=1))


def test_no_file_means_no_waivers():
    assert load_waivers(None, KNOWN, TODAY) == {}


def test_an_empty_file_holds_none(tmp_path):
    assert read(tmp_path, "# none for now\n") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WAIVER.replace("host.os", "host.so"), "waiver 1: expected the id .*'host.so'"),
        (WAIVER + WAIVER, "waiver 2: expected one waiver a control, found host.os"),
        (WAIVER.replace("Kim", " "), "waiver 1, owner: "),
        (WAIVER.replace('owner = "Kim"', ""), "waiver 1, owner: expected a value for `owner`"),
        (WAIVER.replace("2025-11-24", '"tomorrow"'), "waiver 1, expires: "),
        (WAIVER + 'colour = "red"', "expected known keys only, found the key `colour`"),
        (WAIVER.replace("[[waiver]]", "[[waivers]]"), "expected .*waiver.* tables"),
        ("waiver = 1", "expected .*waiver.* tables"),
        ("waiver = [1]", "waiver 1, table: "),
        ("[[waiver]", "expected a readable TOML file"),
    ],
)
def test_a_mistake_is_an_error_in_one_line(tmp_path, text, message):
    with pytest.raises(InventoryError, match=message) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InventoryError, match="No such file"):
        load_waivers(tmp_path / "none.toml", KNOWN, TODAY)
