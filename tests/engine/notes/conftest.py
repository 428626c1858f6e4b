"""Tables for the models of the examples, which belong to no installed app."""

import pytest
from django.db import connection


@pytest.fixture
def create_table(transactional_db):
    """Return a function that makes the table of a model, for as long as the test runs."""
    models = []

    def create(model):
        with connection.schema_editor() as editor:
            editor.create_model(model)
        models.append(model)

    yield create
    with connection.schema_editor() as editor:
        for model in models:
            editor.delete_model(model)
