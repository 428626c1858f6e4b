import pytest

from benchmarks import environments
from benchmarks.environments import REQUIREMENTS, MissingProgram, install, require_programs, requirements


def test_missing_programs_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(MissingProgram) as refused:
        require_programs()

    assert str(refused.value) == (
        "The benchmarks need wrk and redis-server. On Debian or Ubuntu: apt-get install wrk redis-server"
    )


def test_an_environment_that_cannot_be_made_here_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(MissingProgram, match=r"'channels1' is made by python3\.6, which is not installed"):
        install("channels1")


def test_an_environment_is_made_again_only_when_its_requirements_have_changed(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(environments, "REPOSITORY", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(environments, "_install_python", lambda folder, *_: (folder.mkdir(), made.append(folder.name)))

    install("load")
    install("load")
    (tmp_path / "load" / "installed.txt").write_text("something else")
    install("load")

    assert made == ["load", "load"]


def test_requirements_come_with_those_they_name():
    lines = requirements("ours").splitlines()

    assert "ormsgpack==1.13.1" in lines
    assert any(line.startswith("daphne==") for line in lines)
    assert not any(line.startswith("-r") for line in lines)


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda file: file.stem)
def test_every_package_has_one_version_in_all_environments(file):
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith(("#", "-r"))]

    assert [line for line in lines if "==" not in line] == []
