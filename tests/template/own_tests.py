"""
The tests that every project comes with, in a generated project: for a Python and a Django of one's own choice.

With those that a project asks for, `test_readme` runs them, from an environment that is made as its README says.
"""

from ..baking import run


def test_the_projects_own_tests_pass(bake):
    assert " passed" in run(bake(), "-m", "pytest", "-p", "no:cacheprovider").stdout
