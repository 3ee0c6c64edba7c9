"""What nginx, PM2 and connect.service are given, held against the documents; no host needed."""

import shlex
import subprocess
from dataclasses import replace

import pytest

from connect_infra.document import load
from connect_infra.errors import PlanError
from connect_infra.facts import nginx as nginx_facts
from connect_infra.targets import Secrets
from provisioning.component import Context
from provisioning.native import nginx, pm2


@pytest.fixture(scope="module")
def context(target, secrets):
    """What components are rendered from, on a lab host."""
    expectations = target.expectations(load())
    return Context(expectations, secrets, target)


def content_of(component, path):
    (file,) = [file for file in component.files if file.path == path]
    return file.content.decode()


@pytest.fixture
def loaded(context):
    """The rendered configuration as facts would read it."""
    files = {file.path: file.content.decode() for file in nginx.component(context).files}
    included = {
        nginx.MAIN: files[nginx.MAIN],
        "/etc/nginx/mime.types": "types { text/css css; }\n",
        "/etc/nginx/sites-enabled/connect": files[nginx.SITE],
        "/etc/nginx/sites-enabled/connect-status": files[nginx.STATUS],
        nginx.HEADERS: files[nginx.HEADERS],
    }
    dump = "".join(f"# configuration file {name}:\n{text}\n" for name, text in included.items())
    return nginx_facts.NginxFacts(nginx_facts.configuration(dump), "", (), {})


@pytest.mark.parametrize(
    ("component", "port"), [("nginx", None), ("nginx-site-http", "80"), ("nginx-site-https", "443")]
)
def test_every_documented_directive_is_rendered_in_its_place(context, loaded, component, port):
    block = loaded.main if port is None else loaded.server(port)
    missing = []
    for one in context.expectations.values():
        if one.control.component != component:
            continue
        found = nginx_facts.values(block, one.key.removeprefix("server > "))
        spellings = [shlex.join(words) for words in found] + [" ".join(words) for words in found]
        if one.value not in [one.control.parse(text) for text in spellings]:
            missing.append((one.id, found))
    assert missing == []


def test_every_location_has_the_servers_headers(loaded):
    server = loaded.server("443")
    wanted = {d.args for d in nginx_facts.find(server, "add_header")}
    assert len(wanted) == 6
    for location in (d for d in server if d.name == "location"):
        own = {d.args for d in location.block if d.name == "add_header"}
        assert not own or wanted <= own, location.args


def test_no_location_closes_the_connections_kept_for_others(loaded):
    for location in (d for d in loaded.server("443") if d.name == "location"):
        lines = {(d.name, *d.args) for d in location.block}
        assert ("proxy_http_version", "1.1") in lines, location.args
        assert any(line[:2] == ("proxy_set_header", "Connection") for line in lines), location.args


def test_the_unit_is_the_documented_one(context):
    unit = content_of(pm2.component(context), pm2.SERVICE)
    for one in context.expectations.values():
        if one.control.component == "connect.service":
            assert f"{one.key.partition('.')[2]}={one.expected}\n" in unit


def test_secrets_stand_in_the_environment_file_only(context):
    component = pm2.component(context)
    (secret,) = [file for file in component.files if file.secret]
    assert (secret.path, secret.mode) == ("/opt/connect/shared/config/.env.production", 0o600)
    for file in component.files:
        held = [v for v in context.secrets.values() if v.encode() in file.content]
        assert not held or file is secret


def test_node_reads_the_ecosystem_file(context, tmp_path):
    component = pm2.component(context)
    environment = tmp_path / "env"
    environment.write_text(content_of(component, "/opt/connect/shared/config/.env.production"))
    text = content_of(component, pm2.ECOSYSTEM)
    ecosystem = tmp_path / "ecosystem.config.js"
    ecosystem.write_text(
        text.replace("/opt/connect/shared/config/.env.production", str(environment))
    )
    program = (
        "const app = require(process.argv[1]).apps[0];"
        "console.log(app.instances, app.kill_timeout, app.cwd, app.env.DATABASE_URL, app.env.PORT)"
    )
    done = subprocess.run(
        ["node", "-e", program, str(ecosystem)], capture_output=True, text=True, check=True
    )
    password = context.secrets["POSTGRES_PASSWORD"]
    url = f"postgresql://connect:{password}@localhost:6432/connect"
    assert done.stdout.split() == ["max", "10000", "/opt/connect/current", url, "0"]


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a$b", "a`b"])
def test_a_secret_that_systemd_would_read_otherwise_is_refused(context, value):
    secrets = Secrets({**context.secrets, "JWT_SECRET": value})
    with pytest.raises(PlanError, match="JWT_SECRET"):
        pm2.environment(replace(context, secrets=secrets))
