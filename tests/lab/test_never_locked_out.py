"""A change of a way in that shuts everybody out is taken back, by the controller or without it."""

import base64
import pickle
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from connect_infra.document import load
from connect_infra.errors import ApplyError
from connect_infra.targets import load_secrets
from connect_infra.transport import connect
from provisioning import apply, diff, observe
from provisioning.component import Context
from provisioning.native import host as base
from provisioning.native import sshd, ufw

SHUT = {"sshd": ("sshd.AllowUsers", "nobody"), "ufw": ("ufw.allow-22/tcp", "deny 22/tcp")}
"""What locks everybody out: a documented setting, and the value that does it."""

SHOWN = {
    "sshd": "sshd -T -C user=connect,host=h,addr=192.0.2.1 | grep -E '^(allowusers|maxauth)'",
    "ufw": "iptables -S | grep -v f2b; ip6tables -S; cat /etc/ufw/ufw.conf /etc/ufw/user*.rules",
}
"""The state that must come back, as the host shows it."""

HOST_SECONDS = 6
"""How long the host waits where the controller is killed."""

KILLED = """
import base64, pickle, runpy, sys
names = runpy.run_path(sys.argv[1])
target = pickle.loads(base64.b64decode(sys.argv[2]))
components = names["wanted"](target, sys.argv[3], shut=True, seconds=int(sys.argv[4]))
names["applied"](target, components, lambda line: print(line, flush=True))
"""
"""A controller for the test to kill: it says what it does, a line at a time."""


def wanted(target, name, shut=False, seconds=60):
    """What the host shall have: sshd, and ufw if it is meant; `shut` lets nobody in any more."""
    expectations = dict(target.expectations(load()))
    if shut:
        control, value = SHUT[name]
        expectations[control] = replace(expectations[control], expected=value)
    ctx = Context(expectations, load_secrets(target), target)
    modules = (base, sshd) if name == "sshd" else (base, sshd, ufw)
    *others, last = (module.component(ctx) for module in modules)
    return (*others, replace(last, way_in=replace(last.way_in, seconds=seconds)))


def applied(target, components, progress=lambda line: None):
    """Apply what differs."""
    with connect(target) as connection:
        apply(connection, diff(components, observe(connection, components)), components, progress)


def logs_in(target):
    """Whether a fresh login works."""
    with connect(target) as connection:
        return connection.run("id -un").stdout.strip() == target.user


def timers(host):
    show = "systemctl list-units --all --plain --no-legend 'connect-infra-way-back-*'"
    return host.exec(show)[1].strip()


def shown(host, name):
    return host.exec(SHOWN[name])[1]


@pytest.fixture(scope="module")
def door(lab):
    """A host for all the tests here: each leaves it with the way in that it had."""
    booted = lab.up("door")
    yield booted
    booted.remove()


@pytest.fixture
def before(door, name):
    """The documented way in is in force; what the host shows of it."""
    applied(door.target(), wanted(door.target(), name))
    return shown(door, name)


both = pytest.mark.parametrize("name", ["sshd", "ufw"])


@both
def test_a_good_change_stays(door, before, name):
    assert logs_in(door.target())
    assert timers(door) == ""
    assert door.exec("ls /var/lib/connect-infra/pending")[1] == ""
    time.sleep(1)
    assert shown(door, name) == before


@both
def test_a_change_that_shuts_everybody_out_is_refused(door, before, name):
    target = door.target()
    with pytest.raises(ApplyError, match="a fresh login") as refusal:
        applied(target, wanted(target, name, shut=True))
    assert "is back" in str(refusal.value)
    assert logs_in(target)
    assert shown(door, name) == before
    assert timers(door) == ""


@both
def test_the_host_takes_it_back_when_the_controller_is_killed(door, before, name):
    target = door.target()
    pickled = base64.b64encode(pickle.dumps(target)).decode()
    command = [sys.executable, "-c", KILLED, __file__, pickled, name]
    controller = subprocess.Popen(
        [*command, str(HOST_SECONDS)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = ""
    for line in controller.stdout:
        said += line
        if "proving the way in" in line:
            break
    controller.kill()
    controller.wait()
    assert "proving the way in" in said, said
    assert shown(door, name) != before, "the change never came into force"
    assert timers(door) != ""
    deadline = time.monotonic() + HOST_SECONDS + 10
    while shown(door, name) != before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert shown(door, name) == before
    assert logs_in(target)
    assert door.exec("ls /var/lib/connect-infra/pending")[1] == ""


def test_a_file_that_sshd_refuses_is_never_put_in_place(door):
    target = door.target()
    applied(target, wanted(target, "sshd"))
    before = shown(door, "sshd")
    good = wanted(target, "sshd")
    broken = replace(
        good[-1],
        resources=tuple(
            replace(one, content=one.content + b"NoSuchOption yes\n")
            if one.id == "file /etc/ssh/sshd_config"
            else one
            for one in good[-1].resources
        ),
    )
    with pytest.raises(ApplyError, match="NoSuchOption"):
        applied(target, (*good[:-1], broken))
    assert shown(door, "sshd") == before
    assert timers(door) == ""
