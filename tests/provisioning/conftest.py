"""What components are rendered from in these tests: the real document, made-up secrets."""

import pytest

import provisioning
from connect_infra.document import load
from connect_infra.targets import Target, generate_secrets
from provisioning import native
from provisioning.component import Context

MEMORY = 8 * 1024**3


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    secrets = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    generate_secrets(secrets)
    return Target(
        name="somewhere", way="local", sizing="scaled", memory=MEMORY, lab=True, secrets=secrets
    )


@pytest.fixture(scope="session")
def secrets(target):
    return generate_secrets(target.secrets)


@pytest.fixture(scope="session")
def components(target):
    return provisioning.wanted(target)


@pytest.fixture(scope="session")
def components_on(target, secrets):
    """Render for another sizing: `documented` or `scaled`."""

    def render(sizing, **changes):
        other = target.model_copy(update={"sizing": sizing, **changes})
        expectations = other.expectations(load())
        return native.components(Context(expectations, secrets, other))

    return render
