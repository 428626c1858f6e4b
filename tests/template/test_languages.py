"""Every sentence of the site has its translation, and what is compiled is what was translated."""

import ast
import gettext
import re
from html.parser import HTMLParser

import pytest
from django.template.base import Lexer, TokenType
from django.utils.translation.template import templatize

from ..baking import REPOSITORY

PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"
CATALOGUES = sorted((PROJECT / "locale").glob("*/LC_MESSAGES/django.po"))
APPS = ("accounts", "chat", "config")
TEMPLATES = sorted(path for app in APPS for path in (PROJECT / app).glob("templates/**/*.html"))
MODULES = sorted(path for app in APPS for path in (PROJECT / app).rglob("*.py") if "tests" not in path.parts)
TRANSLATE = {"_", "gettext", "gettext_lazy", "ngettext"}
# What people read, apart from the text between tags.
READ = {"alt", "aria-label", "content", "placeholder", "title"}
QUOTED = r"""u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
FIELD = re.compile(r"%\((\w+)\)|\{(\w+)\}")


def name_of(path):
    return path.relative_to(PROJECT).as_posix()


def translations(catalogue):
    """Return what a .po file says: a sentence (or its singular) and its translations, one for each plural."""
    found = {}
    for entry in catalogue.read_text("utf-8").split("\n\n")[1:]:
        lines = [line for line in entry.splitlines() if not line.startswith("#")]
        parts = re.findall(r"^(msg\w+)(?:\[\d\])? ((?:\".*\"\s*)+)", "\n".join(lines), re.MULTILINE)
        texts = [(keyword, "".join(map(ast.literal_eval, text.splitlines()))) for keyword, text in parts]
        found[texts[0][1]] = [text for keyword, text in texts if keyword == "msgstr"]
    return found


def sentences_of_modules():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TRANSLATE:
                yield ast.literal_eval(node.args[0])


def sentences_of_templates():
    for path in TEMPLATES:
        code = templatize(path.read_text("utf-8"))
        for sentence in re.findall(rf"(?:gettext|_)\({QUOTED}\)", code):
            yield ast.literal_eval(sentence)


class Reader(HTMLParser):
    """Collects what people read of a page."""

    def __init__(self):
        super().__init__()
        self.read = []

    def handle_starttag(self, tag, attributes):
        self.read += [value for name, value in attributes if name in READ and value and tag != "meta"]

    def handle_data(self, data):
        self.read.append(data)


def unmarked(template):
    """Return the words in a template that are no sentence to translate."""
    template = re.sub(r"{% block body_class %}.*?{% endblock %}", "", template)
    text, is_marked = "", False
    for token in Lexer(template).tokenize():
        if token.token_type == TokenType.BLOCK and "blocktranslate" in token.contents.split()[0]:
            is_marked = not token.contents.startswith("end")
        elif token.token_type == TokenType.TEXT and not is_marked:
            text += token.contents
    reader = Reader()
    reader.feed(text)
    return [words.strip() for words in reader.read if re.search(r"[A-Za-z]", words)]


def test_there_is_a_translation():
    assert [path.parent.parent.name for path in CATALOGUES] == ["zh_Hans"]


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=name_of)
def test_every_sentence_of_the_site_has_its_translation_and_no_other_is_there(catalogue):
    translated = translations(catalogue)

    assert set(translated) == {*sentences_of_modules(), *sentences_of_templates()}
    assert [sentence for sentence, answers in translated.items() if not all(answers)] == []
    assert "fuzzy" not in catalogue.read_text("utf-8")


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=name_of)
def test_a_translation_has_the_fields_of_its_sentence(catalogue):
    for sentence, answers in translations(catalogue).items():
        for answer in answers:
            assert set(FIELD.findall(sentence)) <= set(FIELD.findall(answer)) or "a minute" in sentence, sentence


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=name_of)
def test_the_compiled_catalogue_is_the_written_one(catalogue):
    with catalogue.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog
    plain = {}
    for sentence, answer in compiled.items():
        if sentence:
            plain.setdefault(sentence[0] if isinstance(sentence, tuple) else sentence, []).append(answer)

    assert plain == translations(catalogue), "Run `python manage.py compilemessages`."


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_what_people_read_in_a_template_is_marked_for_translation(path):
    assert unmarked(path.read_text("utf-8")) == []


def test_words_without_a_mark_are_found():
    assert unmarked('{% if a %}<p title="Now">{{ b }} {% translate "c" %}, then</p>{% endif %}') == ["Now", ", then"]
    assert unmarked("{% blocktranslate %}a{% endblocktranslate %} b") == ["b"]
