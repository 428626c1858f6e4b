import pytest

from benchmarks.stacks import all_stacks


@pytest.fixture
def engine(tmp_path):
    folder = tmp_path / "{{cookiecutter.project_slug}}" / "channels"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    return tmp_path


@pytest.fixture
def stacks(engine):
    return all_stacks(engine)
