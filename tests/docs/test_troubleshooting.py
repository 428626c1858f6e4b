"""Each heading is a sentence of the engine's, word by word."""

import ast
import re

import pytest

from ..baking import REPOSITORY
from .pages import engine_sources, first_column

HEADINGS = re.findall(r"^### (.+)$", (REPOSITORY / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)


# Without what is for tests.
TREES = [ast.parse(text) for name, text in engine_sources().items() if not name.startswith("test/")]


def sentences():
    """Return every text in the source of the engine, with … for what is filled in."""
    for node in (node for tree in TREES for node in ast.walk(tree)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%(?:\.\d+f|[srd])", "…", node.value)


SAID = "\n".join(sentences())


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_engine_says_so(heading):
    assert heading in SAID


def test_every_reason_for_a_loss_is_explained():
    calls = [node for tree in TREES for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 1]
    counted = [call.args[1] for call in calls if getattr(call.func, "attr", "") in ("count_dropped", "count_gone")]
    reasons = {reason.value for reason in counted if isinstance(reason, ast.Constant)}

    assert reasons <= set(first_column("docs/troubleshooting.md"))
