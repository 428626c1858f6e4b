"""The Django app: its checks are registered, and ``manage.py runserver`` is its own."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.core.management import get_commands
from django.utils.module_loading import autodiscover_modules

# Apps whose runserver ours replaces: it does what theirs do. WhiteNoise's extends the one that comes next.
_REPLACED = {"daphne", "django.contrib.staticfiles"}
_EXTENDING = "whitenoise.runserver_nostatic"


class ChannelsConfig(AppConfig):
    """The engine as an app; it may stand anywhere in ``INSTALLED_APPS``."""

    name = "channels"
    verbose_name = "Channels"

    def ready(self) -> None:
        """Register checks and bindings, and take ``runserver`` from apps in front that know nothing of workers."""
        from . import checks  # noqa: F401
        from .binding.base import BindingMetaclass
        from .security import accounts

        # Bindings are at work wherever something is saved, also where no routing brings their modules in.
        autodiscover_modules("binding", "bindings")
        BindingMetaclass.register_all()
        accounts.register()
        names = [config.name for config in apps.get_app_configs()]
        # Where Django looks commands up: by the order of the apps, the first of them would win.
        commands = get_commands()
        if _REPLACED.intersection(names[: names.index(self.name)]) and commands["runserver"] in {
            *_REPLACED,
            _EXTENDING,
        }:
            commands["runserver"] = self.name
