"""What is rendered for the data layer: every documented value, and no secret in the open."""

import re

import pytest

from connect_infra.document import load
from provisioning.component import Context
from provisioning.native.redis import wanted
from provisioning.resources import Directory, Ensure, File, Sysctl


def content_of(components, path):
    for component in components:
        for file in component.files:
            if file.path == path:
                return file.content.decode()
    raise AssertionError(f"no component has {path}")


SETTINGS = {
    "postgresql": ("/etc/postgresql/15/main/conf.d/90-connect.conf", r"{key} = '{value}'"),
    "pgbouncer": ("/etc/pgbouncer/pgbouncer.ini", r"{key} = {value}"),
    "redis-cache": ("/etc/redis/redis-cache.conf", r"{key} {value}"),
    "redis-queue": ("/etc/redis/redis-queue.conf", r"{key} {value}"),
    "pgbackrest": ("/etc/pgbackrest/pgbackrest.conf", r"{key}={value}"),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("sizing", ["documented", "scaled"])
def test_every_documented_setting_is_rendered(name, sizing, components_on, target):
    path, form = SETTINGS[name]
    lines = content_of(components_on(sizing), path).splitlines()
    expectations = load().on(sizing, target.memory, True)
    missing = []
    for control in load().component(name):
        if control.kind != "setting" or control.type == "secret" or "packages" in control.key:
            continue
        if control.key in ("role", "database", "requirepass"):
            continue
        key = re.sub(r"^(pgbouncer|databases|global|connect)\.", "", control.key)
        line = form.format(key=key, value=expectations[control.id].expected)
        if line not in lines:
            missing.append(line)
    assert missing == []


def test_documented_sizing_renders_the_documents_own_numbers(components_on):
    text = content_of(components_on("documented"), SETTINGS["postgresql"][0])
    assert "shared_buffers = '24GB'" in text
    assert "maxmemory 15gb" in content_of(components_on("documented"), SETTINGS["redis-cache"][0])


def test_secrets_stand_only_in_files_marked_secret_and_closed_to_others(components, secrets):
    files = [file for component in components for file in component.files]
    holding = [
        file for file in files if any(value.encode() in file.content for value in secrets.values())
    ]
    assert {"/etc/redis/redis-cache.conf", "/etc/pgbouncer/userlist.txt"} <= {
        file.path for file in holding
    }
    assert [file.path for file in holding if not file.secret or file.mode & 0o007] == []


def test_no_script_holds_a_secret(components, secrets):
    scripts = [component.validate or "" for component in components]
    scripts += [component.verify or "" for component in components]
    for component in components:
        for resource in component.resources:
            if isinstance(resource, Ensure):
                scripts += [resource.check, resource.do]
    assert len(scripts) > 20
    assert [value for value in secrets.values() if any(value in text for text in scripts)] == []


def test_every_rendered_file_is_whole(components):
    files = [file for component in components for file in component.files]
    files = [file for file in files if b"\0" not in file.content]  # text, not a package or picture
    assert files
    assert [file.path for file in files if not file.content.endswith(b"\n")] == []
    leftovers = re.compile(rb"\{\{|\}\}|\{%|Undefined")
    assert [
        f.path for f in files if f.path.startswith("/etc") and leftovers.search(f.content)
    ] == []


def test_configuration_and_keys_of_the_application_are_closed_to_others(components):
    modes = {
        resource.path: resource.mode
        for component in components
        for resource in component.resources
        if isinstance(resource, Directory)
    }
    assert modes["/opt/connect/shared/config"] & 0o007 == 0
    assert modes["/opt/connect/shared/ssl"] & 0o007 == 0


def test_the_lab_leaves_the_kernel_of_its_machine_alone(components_on):
    def kernel(components):
        return [
            resource.id
            for component in components
            for resource in component.resources
            if isinstance(resource, Sysctl)
            or (isinstance(resource, File) and "sysctl" in resource.path)
        ]

    assert kernel(components_on("scaled", lab=True)) == []
    assert len(kernel(components_on("scaled", lab=False))) == 2


def test_redis_is_asked_for_bytes(target, secrets):
    ctx = Context(load().on("documented", None, True), secrets, target)
    lines = wanted(ctx, "redis-cache", "word").splitlines()
    assert f"maxmemory {15 * 1024**3}" in lines
    assert "save " in lines
    assert "requirepass word" in lines
