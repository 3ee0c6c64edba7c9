"""What the host tells about the environment file, and what it keeps to itself."""

import json
import subprocess
import sys

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import env

PASSWORD = "f3b1a9c5d7"


@pytest.fixture
def judged(tmp_path):
    """Judge a file's variables as the host does, in a process of its own."""

    def judge(text, **secrets):
        path = tmp_path / ".env.production"
        path.write_text(text)
        program = f"{env.JUDGE}\nprint(json.dumps(judge(read({str(path)!r}))))"
        done = subprocess.run(
            [sys.executable, "-c", program], env=secrets, capture_output=True, text=True, check=True
        )
        assert PASSWORD not in done.stdout
        return env.variables(json.loads(done.stdout))

    return judge


def test_recorded_output(recorded):
    facts = env.parse(recorded("env"))
    assert (facts.mode, facts.owner, facts.exposed) == ("600", "connect", ())
    assert facts.variables["NODE_ENV"].shown == "production"
    assert facts.variables["JWT_SECRET"].length == 96
    assert facts.variables["REDIS_QUEUE_URL"].verdict == "set"
    assert "DATABASE_URL" in facts.looked_for


def test_a_password_is_cut_out_of_a_url_and_compared(judged):
    url = f"postgresql://connect:{PASSWORD}@localhost:6432/connect"
    found = judged(f"DATABASE_URL={url}\n", POSTGRES_PASSWORD=PASSWORD)["DATABASE_URL"]
    assert found.shown == "postgresql://connect:<secret>@localhost:6432/connect"
    assert (found.ours, found.verdict) == (True, "set")


def test_another_password_than_the_targets(judged):
    url = f"redis://:{PASSWORD}@localhost:6379"
    found = judged(f'REDIS_CACHE_URL="{url}"\n', REDIS_CACHE_PASSWORD="another")
    assert found["REDIS_CACHE_URL"].verdict == "another value than the target's secret"


def test_a_target_that_gave_no_secrets(judged):
    assert judged(f"JWT_SECRET={PASSWORD}\n")["JWT_SECRET"].ours is None


@pytest.mark.parametrize(
    "text",
    [
        "JWT_SECRET=your_very_long_jwt_secret_here_64_chars_minimum",
        "JWT_SECRET=your_jwt_secret_here",
        "DATABASE_URL=postgresql://connect:secure_db_password@localhost:6432/connect",
        "DATABASE_URL=postgresql://connect:password@localhost:6432/connect",
        "REDIS_CACHE_URL=redis://:secure_cache_password@localhost:6379",
        "REDIS_CACHE_URL=redis://:cache_redis_password_here@localhost:6379",
        "SENTRY_DSN=your_sentry_dsn",
    ],
)
def test_the_documents_placeholders(judged, text):
    (found,) = judged(text).values()
    assert found.verdict == "the documented placeholder"


def test_an_empty_variable_and_one_that_is_nobodys_business(judged):
    found = judged(f"TOSS_SECRET_KEY=\nOTHER={PASSWORD}\n")
    assert list(found) == ["TOSS_SECRET_KEY"]
    assert found["TOSS_SECRET_KEY"].verdict == "empty"


def test_no_file_is_an_error(recorded):
    with pytest.raises(ObservationError, match=r"\.env\.production"):
        env.parse(recorded("env", file=""))
