"""What the documented text of PM2 does on a real host, one test an erratum.

The tests run a PM2 of their own, with its own home, beside the application's.
"""

import json

import pytest

from tests.lab.shell import sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

BASE = "/tmp/errata-pm2"
AS = (
    "runuser -u connect -- env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/connect "
    f"PM2_HOME={BASE}/home JWT_SECRET=from-the-environment sh -c"
)
SERVER = """
require("http").createServer((request, response) => response.end(
  JSON.stringify({ release: "RELEASE", secret: process.env.JWT_SECRET })))
  .listen(process.env.SOCKET_PATH);
process.on("SIGINT", () => process.exit(0));
"""
ECOSYSTEM = """
module.exports = { apps: [{ name: "connect", script: "./server.js", instances: "max",
  exec_mode: "cluster", CWD
  env: { SOCKET_PATH: "BASE/socket", JWT_SECRET: "your_jwt_secret_here" } }] };
"""


def as_connect(host, script):
    return sh(host, f"{AS} '{script}'")


def answer(host):
    return json.loads(sh(host, f"curl -s --retry 10 --retry-connrefused --retry-delay 1 "
                               f"--unix-socket {BASE}/socket http://localhost/"))  # fmt: skip


@pytest.fixture
def releases(host):
    """Two releases and the link to the first; what runs of them is stopped at the end."""
    for name in ("first", "second"):
        home = f"{BASE}/releases/{name}"
        put(host, f"{home}/server.js", SERVER.replace("RELEASE", name))
        put(host, f"{home}/ecosystem.config.js", ecosystem(""))
    sh(host, f"ln -sfn releases/first {BASE}/current; chown -hR connect: {BASE}")
    yield f"{BASE}/current"
    as_connect(host, "pm2 kill >/dev/null")
    sh(host, f"rm -rf {BASE}")


def ecosystem(cwd):
    return ECOSYSTEM.replace("BASE", BASE).replace("CWD", cwd)


def put(host, path, text):
    sh(host, f"mkdir -p $(dirname {path}); cat > {path} <<'END'\n{text}\nEND")


def switch(host):
    sh(host, f"ln -sfn releases/second {BASE}/current")


def test_a_reload_goes_on_serving_the_old_release(host, releases):
    as_connect(host, f"cd {releases} && pm2 start ecosystem.config.js >/dev/null")
    assert answer(host)["release"] == "first"
    switch(host)
    as_connect(host, f"cd {releases} && pm2 reload ecosystem.config.js >/dev/null")
    assert answer(host)["release"] == "first"
    listed = as_connect(host, "pm2 jlist --silent")
    assert f'"pm_cwd":"{BASE}/releases/first"' in listed


def test_a_reload_follows_the_link_that_is_the_working_directory(host, releases):
    put(host, f"{BASE}/ecosystem.config.js", ecosystem(f'cwd: "{releases}",'))
    as_connect(host, f"pm2 start {BASE}/ecosystem.config.js >/dev/null")
    assert answer(host)["release"] == "first"
    switch(host)
    as_connect(host, f"pm2 reload {BASE}/ecosystem.config.js >/dev/null")
    assert answer(host)["release"] == "second"


def test_secrets_in_the_ecosystem_file_win_over_the_environment(host, releases):
    as_connect(host, f"cd {releases} && pm2 start ecosystem.config.js >/dev/null")
    assert answer(host)["secret"] == "your_jwt_secret_here"


def test_max_is_a_process_a_processor(host, releases):
    as_connect(host, f"cd {releases} && pm2 start ecosystem.config.js >/dev/null")
    processes = json.loads(as_connect(host, "pm2 jlist --silent"))
    assert len(processes) == int(sh(host, "nproc"))
