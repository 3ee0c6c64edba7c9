"""The same work by others: stock testinfra, ruby-serverspec, ansible-core."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import testinfra

from benchmarks.checks import Check
from connect_infra.targets import Target
from provisioning.component import Component
from provisioning.resources import Directory, Ensure, File, Group, Package, Symlink, Unit, User

ANSIBLE = "2.19.14"
BUILD = Path("build")


def ssh_config(target: Target) -> Path:
    """Write the ssh_config that every peer gets; none of them checks less than we do."""
    path = (BUILD / "bench-ssh_config").absolute()
    path.write_text(
        f"Host {target.host}\n  IdentityFile {target.key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {target.known_hosts}\n  StrictHostKeyChecking yes\n"
        "  LogLevel ERROR\n"
    )
    return path


def by_testinfra(
    target: Target, checks: Sequence[Check], number: int, shared: bool
) -> tuple[float, list[str]]:
    """Run `number` checks one at a time; return seconds and the controls that did not hold.

    `shared`: over one ssh master connection (testinfra's `controlpath`), else as it comes.
    """
    options = {"ssh_config": str(ssh_config(target)), "sudo": "true"}
    if shared:
        options["controlpath"] = str(Path(tempfile.gettempdir(), f"connect-infra-{os.getpid()}"))
    started = time.monotonic()
    host = testinfra.get_host(f"ssh://{target.user}@{target.host}", **options)
    wrong = []
    for check in islice(cycle(checks), number):
        done = host.run(check.command)
        if not check.holds(done.rc, done.stdout):
            wrong.append(check.expectation.id)
    return time.monotonic() - started, sorted(set(wrong))


def install_serverspec() -> str | None:
    """Install Debian's ruby-serverspec where it is missing; return why not, or None."""
    if Path("/usr/share/doc/ruby-serverspec").exists():
        return None
    packages = ["ruby-serverspec", "ruby-ed25519", "ruby-bcrypt-pbkdf"]
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=300)
    except subprocess.TimeoutExpired:
        return "apt-get needed more than 300 s to install it"
    return None if done.returncode == 0 else f"apt-get: {done.stderr.strip().splitlines()[-1]}"


def by_serverspec(target: Target, checks: Sequence[Check]) -> tuple[float, str]:
    """Run the checks as one spec file over ssh; return seconds and rspec's last summary line."""
    lines = [
        "require 'serverspec'",
        "require 'net/ssh'",
        "set :backend, :ssh",
        f"set :host, {json.dumps(target.host)}",
        f"set :ssh_options, user: {json.dumps(target.user)}, keys: [{json.dumps(str(target.key))}],"
        f" keys_only: true, config: false, verify_host_key: :always,"
        f" user_known_hosts_file: {json.dumps(str(target.known_hosts))}",
    ]
    for check in checks:
        command = "'" + check.command.replace("\\", "\\\\").replace("'", "\\'") + "'"
        lines.append(f"describe command({command}) do")
        lines += ["  its(:exit_status) { should eq 0 }", "end"]
    spec = (BUILD / "bench_spec.rb").absolute()
    spec.write_text("\n".join(lines) + "\n")
    started = time.monotonic()
    command = ["rspec", "--no-color", str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=BUILD)
    seconds = time.monotonic() - started
    found = re.findall(r"^\d+ examples?, .*$", done.stdout, re.M)
    return seconds, found[-1] if found else (done.stdout + done.stderr).strip()[:300]


def install_ansible() -> Path:
    """Return ansible-playbook of the pinned ansible-core, in an environment of its own."""
    venv = BUILD / "bench-venv"
    playbook = venv / "bin" / "ansible-playbook"
    if not playbook.exists():
        subprocess.run(["python3", "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"ansible-core=={ANSIBLE}"], check=True)
    return playbook.absolute()


def _task(resource: object, directory: Path, number: int) -> dict[str, object]:
    match resource:
        case Package(name=name):
            return {"command": f"dpkg-query -W {name}", "changed_when": False, "check_mode": False}
        case Group(name=name):
            return {"group": {"name": name}}
        case User():
            user = {"home": resource.home, "shell": resource.shell, "group": resource.group}
            return {"user": {"name": resource.name, **user}}
        case Directory(path=path):
            return {"file": {"path": path, "state": "directory", **_access(resource)}}
        case File(path=path):
            source = directory / f"{number}"
            source.write_bytes(resource.content)
            return {"copy": {"src": str(source), "dest": path, **_access(resource)}}
        case Symlink():
            link = {"dest": resource.path, "src": resource.target, "state": "link"}
            return {"file": {**link, "follow": False, "force": True}}
        case Unit(masked=True, name=name):
            return {"systemd_service": {"name": name, "masked": True}}
        case Unit():
            state = {"state": "started"} if resource.running else {}
            enabled = {"enabled": resource.enabled}
            return {"systemd_service": {"name": resource.name, **enabled, **state}}
        case Ensure():
            return {
                "shell": "{% raw %}" + resource.check + "{% endraw %}",
                "environment": dict(resource.secrets),
                "changed_when": False,
                "check_mode": False,
                "no_log": True,
            }
    raise TypeError(f"no task for {resource!r}")


def _access(resource: Directory | File) -> dict[str, str]:
    mode = f"{resource.mode:04o}"
    return {"mode": mode, "owner": resource.owner, "group": resource.group}


def by_ansible(
    target: Target, components: Sequence[Component], times: int
) -> tuple[list[float], int, str]:
    """Check the same resources in check mode; return seconds a run, their number, the recap."""
    playbook = install_ansible()
    directory = (BUILD / "bench-ansible").absolute()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    resources = [one for component in components for one in component.resources]
    tasks = [
        {"name": f"{i} {type(one).__name__}", **_task(one, directory, i)}
        for i, one in enumerate(resources)
    ]
    play = {"hosts": "all", "gather_facts": False, "become": True, "tasks": tasks}
    (directory / "site.yml").write_text(json.dumps([play], indent=1))
    (directory / "ansible.cfg").write_text("[ssh_connection]\npipelining = true\n")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(directory / "ansible.cfg")}
    command = [str(playbook), "-i", f"{target.host},", "-u", target.user, "--check"]
    command += [f"--ssh-common-args=-F {ssh_config(target)}", str(directory / "site.yml")]
    seconds, recap = [], ""
    try:
        for _ in range(times):
            started = time.monotonic()
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, timeout=600
            )
            seconds.append(time.monotonic() - started)
            recap = " ".join(re.sub(r".*RECAP \**", "", done.stdout, flags=re.S).split())
            if done.returncode != 0:
                recap += " " + " ".join(done.stdout.split())[-600:]
    finally:
        shutil.rmtree(directory)  # it holds the lab's secrets
    return seconds, len(resources), recap
