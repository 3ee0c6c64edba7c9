"""Equal values in other units are equal, and junk is a ValueError, never a crash."""

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connect_infra.document.values import (
    DURATION_UNITS,
    GIB,
    KIB,
    MEMORY_UNITS,
    MIB,
    SWITCHES,
    ValueType,
    parse,
)

TYPES = get_args(ValueType)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("memory", ("24GB", "25165824kB", "24gb", "24 GiB", "24G", str(24 * GIB))),
        ("memory", ("1.5GB", "1536MB", "1536m")),
        ("duration", ("15min", "900s", "900000ms", "15m", "0.25h", "10min 300s", "10min 5min")),
        ("duration", ("1y", "365d", "8760h")),
        ("duration", ("1w", "7d")),
        ("duration", ("0", "0s", "0ms", "0m")),
        ("switch", ("on", "true", "yes", "1", "ON", " Yes ")),
        ("switch", ("off", "false", "no", "0")),
        ("number", ("1.1", "1.10", "+1.1", " 1.1\n")),
        ("words", ("a b", "a  b", "'a' \"b\"")),
        ("set", ("TLSv1.2 TLSv1.3", "TLSv1.3 TLSv1.2", "TLSv1.3 TLSv1.2 TLSv1.3")),
        ("path", ("/opt/connect", "/opt/connect/", "/opt//connect/.", "/opt/x/../connect")),
        ("quoted", ('""', "", "''")),
        ("quoted", ('"upgrade"', "upgrade")),
    ],
)
def test_the_same_value_in_other_words_is_equal(kind, texts):
    assert len({parse(kind, text) for text in texts}) == 1


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("memory", "24GB", "24MB"),
        ("memory", "64MB", "64000kB"),
        ("duration", "15min", "15s"),
        ("switch", "on", "off"),
        ("number", "1.1", "1.11"),
        ("words", "a b", "b a"),
        ("words", '"a b"', "a b"),
        ("set", "a b", "a"),
        ("path", "/opt/connect", "/opt/Connect"),
        ("text", "x ", "x"),
        ("quoted", '"a', "a"),
    ],
)
def test_different_values_differ(kind, one, other):
    assert parse(kind, one) != parse(kind, other)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("memory", "64MB", 64 * MIB),
        ("memory", "3G", 3 * GIB),
        ("duration", "15min", 900_000),
        ("duration", "1min 30s", 90_000),
        ("duration", "1500us 500us", 2),
        ("number", "0.9", Decimal("0.9")),
        ("words", "'a b' c \"\"", ("a b", "c", "")),
        ("set", "b a", frozenset({"a", "b"})),
        ("text", " as it stands ", " as it stands "),
        ("path", "/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/*"),
    ],
)
def test_a_text_has_this_value(kind, text, value):
    assert parse(kind, text) == value


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("1000", "ms", 1000), ("3600", "s", 3_600_000), ("-1", "ms", -1), ("15min", "s", 900_000)],
)
def test_a_bare_duration_counts_in_the_controls_unit(text, unit, value):
    assert parse("duration", text, unit) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *[(kind, "") for kind in ("number", "switch", "memory", "duration", "path")],
        *[(kind, "junk") for kind in ("number", "switch", "memory", "duration")],
        ("number", "NaN"),
        ("number", "1e5"),
        ("number", "٣"),
        ("number", "9" * 5000),
        ("memory", "-1MB"),
        ("memory", "24QB"),
        ("memory", "24 GB 1 MB"),
        ("memory", "0.3"),
        ("duration", "900"),
        ("duration", "900 parsecs"),
        ("duration", "s"),
        ("duration", "15min and more"),
        ("duration", "1us"),
        ("switch", "2"),
        ("words", "'unclosed"),
    ],
)
def test_junk_is_refused_with_what_was_expected_and_found(kind, text):
    with pytest.raises(ValueError, match=r"expected .*, found "):
        parse(kind, text)


@given(st.sampled_from(TYPES), st.text(), st.sampled_from(["", *DURATION_UNITS]))
@example("memory", "0" * 10_000 + "MB", "")
@example("duration", "9" * 10_000, "y")
def test_no_text_crashes_the_parser(kind, text, unit):
    try:
        value = parse(kind, text, unit)
    except ValueError:
        return
    assert hash(value) == hash(parse(kind, text, unit))


@given(st.integers(0, 10**12), st.sampled_from(sorted(MEMORY_UNITS)))
def test_memory_survives_the_round_trip(number, unit):
    assert parse("memory", f"{number}{unit}") == number * MEMORY_UNITS[unit]


@given(st.integers(0, 10**12))
def test_kilobytes_and_megabytes_agree(megabytes):
    assert parse("memory", f"{megabytes}MB") == parse("memory", f"{megabytes * KIB}kB")


@given(st.integers(0, 10**9), st.sampled_from(["ms", "s", "min", "h", "d", "w", "y"]))
def test_a_duration_survives_the_round_trip(number, unit):
    value = parse("duration", f"{number}{unit}")
    assert value == number * DURATION_UNITS[unit]
    assert parse("duration", f"{value}ms") == value
    assert parse("duration", str(number), unit) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_a_number_survives_the_round_trip(number):
    text = f"{number:f}"
    if len(text.partition(".")[2]) <= 30:
        assert parse("number", text) == number


@given(st.lists(st.from_regex(r"[a-z0-9=.:/]{1,10}", fullmatch=True)))
def test_a_set_does_not_care_for_order(words):
    assert parse("set", " ".join(words)) == parse("set", "  ".join(reversed(words)))


@pytest.mark.parametrize("text", sorted(SWITCHES))
def test_every_spelling_of_a_switch_counts_in_any_case(text):
    assert parse("switch", text.upper()) is SWITCHES[text]
