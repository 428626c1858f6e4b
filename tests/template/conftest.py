import pytest

from ..baking import Baker, copy_repository
from ..services import postgresql_server


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """The repository as a fresh clone would hold it."""
    return copy_repository(tmp_path_factory.mktemp("repository") / "chan-template")


@pytest.fixture
def bake(template, tmp_path):
    return Baker(template, tmp_path)


@pytest.fixture(scope="session")
def project(template, tmp_path_factory):
    """A project with every default. Tests only look at it."""
    return Baker(template, tmp_path_factory.mktemp("default"))()


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL server of our own, which goes away after the tests."""
    with postgresql_server() as url:
        yield url
