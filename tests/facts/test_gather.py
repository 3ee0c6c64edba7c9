"""All facts in one round trip, parsed when they are asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import MODULES, Facts, gather
from connect_infra.facts.base import Output
from connect_infra.targets import Target
from connect_infra.transport import connect

EVERY = list(dict.fromkeys([*MODULES["native"], *MODULES["containers"]]))

READ_LATE = {
    "redis": ("cache", "queue"),
    "docker": ("version", "compose_version", "containers", "images", "hashes", "compose_file",
               "saved_images", "secrets_file"),
    "patroni": ("door", "ready", "keys", "leader"),
    "colours": ("ping", "stranger", "redis", "redis_config", "clients"),
}  # fmt: skip
"""Modules that parse when a part of them is asked for, so that one's failure leaves the others."""


@dataclass(frozen=True)
class Module:
    NAME: str
    COMMANDS: Mapping[str, str]

    def parse(self, outputs):
        return outputs


@pytest.fixture
def connection():
    with connect(Target(name="here", way="local")) as made:
        yield made


def test_gathering_is_one_round_trip(connection):
    modules = [Module("one", {"a": "echo 1", "b": "echo 2"}), Module("two", {"a": "echo $WORD"})]
    raw = gather(connection, {"WORD": "hunter2"}, modules)
    assert connection.round_trips == 1
    assert raw["one"]["b"] == {"code": 0, "stdout": "2\n", "stderr": ""}
    assert raw["two"]["a"]["stdout"] == "«secret WORD»\n"
    assert json.loads(json.dumps(raw)) == raw


def test_modules_have_names_of_their_own_and_facts_know_each():
    names = [module.NAME for module in EVERY]
    assert len(set(names)) == len(names)
    for module in EVERY:
        name = module.NAME.replace("-", "_")
        assert isinstance(getattr(Facts, name, None), cached_property), name
        assert module.COMMANDS, name


def test_every_module_says_what_the_host_did_not_send():
    facts = Facts.from_raw({})
    for module in EVERY:
        for _ in range(2):  # asked again, it must say so again
            with pytest.raises(ObservationError, match=module.NAME):
                getattr(facts, module.NAME.replace("-", "_"))


@pytest.mark.parametrize("module", EVERY, ids=lambda module: module.NAME)
def test_silence_is_no_fact(module):
    """A host that answers nothing must not look like a host that has nothing."""
    silent = {label: {"code": 127, "stdout": "", "stderr": ""} for label in module.COMMANDS}
    facts = Facts.from_raw({module.NAME: silent})
    name = module.NAME.replace("-", "_")
    for part in READ_LATE.get(module.NAME, ("no_such_part",)):
        with pytest.raises(ObservationError):
            getattr(getattr(facts, name), part)


def test_text_is_what_was_printed():
    assert Output(0, "a\n", "warning").text("the thing") == "a\n"


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (Output(0, " \n", ""), r"nothing \(exit code 0\)"),
        (Output(1, "", "first\nlast\n"), "exit code 1: last"),
        (Output(1, "only here\n", ""), "exit code 1: only here"),
        (Output(124, "", "no end within 15 s"), "exit code 124: no end"),
    ],
)
def test_text_that_is_none_is_an_error_that_names_the_thing(output, found):
    with pytest.raises(ObservationError, match=f"the thing: expected an answer, found {found}"):
        output.text("the thing")
