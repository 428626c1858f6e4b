import importlib
import unittest

import pytest


@pytest.mark.django_db(transaction=True)
def test_its_test_passes(write_step, settings):
    write_step("docs/app.md", "The files")
    settings.ALLOWED_HOSTS = ["testserver"]
    result = unittest.TestResult()
    case = importlib.import_module("scores.tests").ScoresTests
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)

    assert (result.errors, result.failures, result.testsRun) == ([], [], 1)
