"""The stand-in release as a package: its content, the same bytes each time, and its parts."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from connect_infra.errors import LabError
from connect_infra.lab.release import SOURCE, build_release

NODE_TESTS = sorted(path.name for path in (SOURCE / "test").glob("*.test.js"))


@pytest.fixture(scope="module", autouse=True)
def _state(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONNECT_INFRA_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return build_release(tmp_path_factory.mktemp("package"), "2026-01-02T03-04-05")


@pytest.fixture(scope="module")
def release(package, tmp_path_factory):
    """The package, unpacked as a deployment does it."""
    directory = tmp_path_factory.mktemp("release")
    with tarfile.open(package) as archive:
        archive.extractall(directory, filter="data")
    return directory


def names(package: Path) -> set[str]:
    with tarfile.open(package) as archive:
        return set(archive.getnames())


def test_the_package_holds_what_a_host_needs(package):
    assert package.name == "connect-2026-01-02T03-04-05.tar.gz"
    shipped = names(package)
    assert {"server.js", "migrate.js", "seed.js", "package.json", "VERSION"} <= shipped
    assert {"lib/routes.js", "migrations/0001_platform.sql", "static/app.css"} <= shipped
    assert {"node_modules/pg/package.json", "node_modules/ioredis/package.json"} <= shipped


def test_the_package_says_nothing_of_where_it_was_built(package):
    shipped = names(package)
    assert not [name for name in shipped if name.endswith((".package-lock.json", ".node"))]
    assert not [name for name in shipped if name.startswith("test/")]
    with tarfile.open(package) as archive:
        owners = {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in archive}
    assert owners == {(0, 0, "", 0)}


def test_the_same_release_is_the_same_bytes(package, tmp_path):
    again = build_release(tmp_path, "2026-01-02T03-04-05")
    assert again.read_bytes() == package.read_bytes()


def test_an_overlay_adds_replaces_and_leaves_out(tmp_path):
    overlay = {"migrations/9999_broken.sql": b"SELECT", "seed.js": None, "server.js": b"//"}
    built = build_release(tmp_path, "broken", overlay)
    shipped = names(built)
    assert "migrations/9999_broken.sql" in shipped
    assert "seed.js" not in shipped
    with tarfile.open(built) as archive:
        assert archive.extractfile("server.js").read() == b"//"


@pytest.mark.parametrize("version", ["", "../x", "-rf", "a b", "a/b"])
def test_a_version_that_is_no_file_name_is_refused(version, tmp_path):
    with pytest.raises(LabError, match="expected a version"):
        build_release(tmp_path, version)
    assert not list(tmp_path.iterdir())


def test_a_start_without_its_environment_is_one_line(release):
    done = subprocess.run(
        ["node", "server.js"],
        cwd=release,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert done.stderr == "connect: SOCKET_PATH is not set; see the release's environment\n"


@pytest.mark.parametrize("name", NODE_TESTS)
def test_the_parts_of_the_release(name, release):
    shutil.copytree(SOURCE / "test", release / "test", dirs_exist_ok=True)
    done = subprocess.run(
        ["node", "--test", f"test/{name}"], cwd=release, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout or "ℹ fail 0" in done.stdout


def test_there_are_tests_of_the_parts():
    assert len(NODE_TESTS) >= 5
