"""Architecture v2.0, 6.2: the application's environment file, complete and closed to others."""

import re

import pytest

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
AT_LEAST = re.compile(r">= (\d+) characters")
EXACTLY = re.compile(r"(\d+) characters")


def is_variable(control):
    return VARIABLE.fullmatch(control.key) is not None


def is_secret(control):
    return is_variable(control) and control.type == "secret"


@pytest.mark.controls(component="env", where=is_variable)
def test_the_variable_is_set(control, facts, found):
    assert control.key in facts.env.variables, "it is not in the file"
    assert found(facts.env.variables[control.key].shown) not in {"", "<empty>"}


@pytest.mark.controls(component="env", where=is_secret)
def test_the_secret_is_the_targets_own(control, facts, found):
    assert found(facts.env.variables[control.key].verdict) == "set"


@pytest.mark.controls(
    "env.NODE_ENV", "env.DATABASE_URL", "env.REDIS_CACHE_URL", "env.REDIS_QUEUE_URL"
)
def test_it_says_what_is_documented(control, facts, found):
    assert found(facts.env.variables[control.key].shown) == control.expected


@pytest.mark.controls("env.file_mode")
def test_only_the_application_reads_the_file(control, facts, found):
    assert found(f"{facts.env.mode}, owner {facts.env.owner}") == control.expected


@pytest.mark.controls(component="env", where=is_secret)
def test_nobody_else_can_read_the_secret(control, facts, found):
    assert control.key in facts.env.looked_for, "too short to be looked for"
    places = [place for place in facts.env.exposed if place.endswith(f" {control.key}")]
    assert found("; ".join(places) or "hidden") == "hidden"


@pytest.mark.controls("env.JWT_SECRET_length", "env.ENCRYPTION_KEY_length")
def test_the_secret_is_long_enough(control, facts, found):
    length = found(facts.env.variables[control.key.removesuffix(" length")].length)
    least, exact = AT_LEAST.fullmatch(control.expected), EXACTLY.fullmatch(control.expected)
    assert length >= int(least[1]) if least else length == int(exact[1])
