from django.apps import AppConfig


class BoundConfig(AppConfig):
    name = "tests.engine.binding"
    label = "bound"
