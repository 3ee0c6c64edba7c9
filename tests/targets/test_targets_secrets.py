"""Secrets come from a private file, complete and real, and no message shows one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_infra.errors import InventoryError
from connect_infra.targets import NAMES, Target, generate_secrets, load_secrets
from connect_infra.targets.secrets import parse_lines

GOOD = {name: f"s3cr3t-{number}" for number, name in enumerate(NAMES)}


def target(file):
    return Target(name="staging", host="h", secrets=file)


def written(tmp_path, values, name="staging.env", mode=0o600):
    quote = '"' if name.endswith(".toml") else ""
    file = tmp_path / name
    file.write_text("".join(f"{key} = {quote}{value}{quote}\n" for key, value in values.items()))
    file.chmod(mode)
    return target(file)


@pytest.mark.parametrize("name", ["staging.env", "staging.toml"])
def test_both_kinds_of_file_are_read(tmp_path, name):
    assert dict(load_secrets(written(tmp_path, GOOD, name))) == GOOD


def test_a_lines_file_may_have_comments_and_quotes(tmp_path):
    text = "# mine\n\nA=\"1=2\"\nB = 'x'\nC=y"
    assert parse_lines(tmp_path, text) == {"A": "1=2", "B": "x", "C": "y"}


def test_generated_secrets_are_private_complete_and_of_the_documented_lengths(tmp_path):
    file = tmp_path / "secrets.toml"
    secrets = generate_secrets(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_secrets(target(file)) == secrets
    assert tuple(secrets) == NAMES
    assert len(secrets["JWT_SECRET"]) >= 64
    assert len(secrets["ENCRYPTION_KEY"]) == 32
    assert len(set(secrets.values())) == len(NAMES)
    assert list(tmp_path.iterdir()) == [file]


def test_a_running_labs_secrets_are_kept(tmp_path):
    file = tmp_path / "secrets.toml"
    assert generate_secrets(file) == generate_secrets(file)


def test_what_an_interrupted_run_left_does_not_matter(tmp_path):
    leftover = tmp_path / ".secrets.toml.new"
    leftover.write_text("half")
    leftover.chmod(0o644)
    secrets = generate_secrets(tmp_path / "secrets.toml")
    assert load_secrets(target(tmp_path / "secrets.toml")) == secrets


def test_no_representation_shows_a_value(tmp_path):
    secrets = load_secrets(written(tmp_path, GOOD))
    shown = f"{secrets} {secrets!r} {[secrets]}"
    assert "POSTGRES_PASSWORD" in shown
    assert not [value for value in secrets.values() if value in shown]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_may_touch_is_refused(tmp_path, mode):
    with pytest.raises(InventoryError, match=r"mode 6\d\d; run chmod 600 "):
        load_secrets(written(tmp_path, GOOD, mode=mode))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JWT_SECRET", None, "that JWT_SECRET is missing"),
        ("MYSQL_PASSWORD", "hush-1", "that MYSQL_PASSWORD is unknown"),
        ("JWT_SECRET", "", "JWT_SECRET: expected printable"),
        ("JWT_SECRET", "hush hush", "JWT_SECRET: expected printable"),
        ("JWT_SECRET", "your_jwt_secret_here", "JWT_SECRET: .* placeholder"),
        ("SENTRY_DSN", "your_sentry_dsn", "SENTRY_DSN: .* placeholder"),
        ("POSTGRES_PASSWORD", "secure_password_here", "POSTGRES_PASSWORD: .* placeholder"),
        ("POSTGRES_PASSWORD", "password", "POSTGRES_PASSWORD: .* placeholder"),
        ("REDIS_CACHE_PASSWORD", "cache_password", "REDIS_CACHE_PASSWORD: .* placeholder"),
        ("REDIS_QUEUE_PASSWORD", "secure_queue_password", "REDIS_QUEUE_PASSWORD: .* placeholder"),
        ("REDIS_QUEUE_PASSWORD", "hush@hush", "REDIS_QUEUE_PASSWORD: expected letters, digits"),
    ],
)
def test_a_bad_secret_is_named_and_not_shown(tmp_path, name, value, message):
    values = {**GOOD, name: value}
    if value is None:
        del values[name]
    with pytest.raises(InventoryError, match=message) as refused:
        load_secrets(written(tmp_path, values))
    assert not [each for each in ("hush", *GOOD.values()) if each in str(refused.value)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", 'JWT_SECRET = "hidden', "expected TOML"),
        ("a.toml", "JWT_SECRET = 12345678", "JWT_SECRET: expected a string, found int"),
        ("a.env", "hidden", "line 1: expected NAME=value, found a line without ="),
        ("a.env", "A=hidden\nA=hidden", "line 2: .* a name given twice"),
    ],
)
def test_a_bad_file_is_refused_without_its_contents(tmp_path, name, text, message):
    file = tmp_path / name
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InventoryError, match=message) as refused:
        load_secrets(target(file))
    assert "hidden" not in str(refused.value)
    assert "12345678" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "a.env"
    file.write_bytes(b"\xff")
    file.chmod(0o600)
    with pytest.raises(InventoryError, match="UTF-8"):
        load_secrets(target(file))


def test_a_target_without_a_source_is_refused():
    with pytest.raises(InventoryError, match="target staging: expected a secrets file"):
        load_secrets(target(None))


@given(st.text())
def test_no_text_crashes_the_reader(text):
    try:
        values = parse_lines("secrets.env", text)
    except InventoryError:
        return
    assert all(isinstance(value, str) for value in values.values())


def test_a_docker_host_has_secrets_of_its_own(tmp_path):
    file = tmp_path / "secrets-containers.toml"
    secrets = generate_secrets(file, "containers")
    docker = Target(name="staging", host="h", topology="containers", secrets=file)
    assert load_secrets(docker) == secrets
    assert {"REDIS_PASSWORD", "NEXTAUTH_SECRET"} <= set(secrets)
    assert len(secrets["NEXTAUTH_SECRET"]) >= 64
    with pytest.raises(InventoryError, match="PGBOUNCER_ADMIN_PASSWORD"):
        load_secrets(target(file))
