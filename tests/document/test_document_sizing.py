"""Scaled sizes: the documented share of the host's memory, rounded down, never below a floor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_infra.document.sizing import DOCUMENTED_MEMORY, scale
from connect_infra.document.values import GIB, MIB, parse


@pytest.mark.parametrize(
    ("text", "memory", "floor", "expected"),
    [
        ("24GB", 8 * GIB, None, "1536MB"),
        ("24GB", 24 * GIB, None, "4608MB"),
        ("15gb", 8 * GIB, "64mb", "960mb"),
        ("64MB", 8 * GIB, "4MB", "4MB"),
        ("64MB", 2 * GIB, "4MB", "4MB"),
        ("64MB", 1 * GIB, None, "512kB"),
        ("3G", 8 * GIB, "256M", "256M"),
        ("3G", 64 * GIB, "256M", "1536M"),
        ("24GB", 256 * GIB, None, "49152MB"),
        ("100MB", 5 * GIB, None, "3MB"),
        ("100mb", 1 * GIB, None, "800kb"),
    ],
)
def test_a_size_is_scaled_in_its_services_spelling(text, memory, floor, expected):
    assert scale(text, memory, floor) == expected


def test_the_documented_host_has_the_documented_text():
    assert scale("24GB", DOCUMENTED_MEMORY, "128MB") == "24GB"


sizes = st.builds(
    "{}{}".format, st.integers(1, 10**4), st.sampled_from(["MB", "GB", "mb", "gb", "M"])
)


@given(sizes, st.integers(64 * MIB, 512 * GIB))
def test_a_scaled_size_is_the_share_rounded_down(text, memory):
    share = parse("memory", text) * memory // DOCUMENTED_MEMORY
    scaled = parse("memory", scale(text, memory))
    assert scaled <= share
    assert share - scaled < (MIB if share >= MIB else 1024)


@given(sizes, sizes, st.integers(64 * MIB, 512 * GIB))
def test_a_scaled_size_is_never_below_its_floor(text, floor, memory):
    assert parse("memory", scale(text, memory, floor)) >= parse("memory", floor)


@given(st.text(), st.integers(1, 512 * GIB), st.none() | st.text())
def test_what_is_no_size_is_refused(text, memory, floor):
    try:
        scaled = scale(text, memory, floor)
    except ValueError:
        return
    assert isinstance(parse("memory", scaled), int)
