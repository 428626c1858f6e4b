"""
Bindings between a model and whoever is in a group.

Outbound, what becomes of an instance is told to its groups, wherever it is saved. Inbound, a message asks for an
instance to be created, updated or deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any, ClassVar

from django.apps import apps
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DataError, IntegrityError, models, router, transaction

from ..auth import channel_session_user
from ..exceptions import FrameRefused
from ..generic.frames import shown
from ..layers.base import Content
from ..message import Message
from ..registry import DEFAULT_CHANNEL_LAYER
from ..sessions import channel_session
from . import outbound
from .outbound import CREATE, DELETE, UPDATE

logger = logging.getLogger(__name__)

ALL_FIELDS = "__all__"
# What signals called in Channels 1, where it could be overridden.
_GONE = (
    "pre_save_receiver",
    "post_save_receiver",
    "pre_delete_receiver",
    "post_delete_receiver",
    "pre_change_receiver",
    "post_change_receiver",
    "send_messages",
)
_ACTIONS = f"{CREATE}, {UPDATE} or {DELETE}"


class BindingMetaclass(type):
    """Registers each binding when its class is made, or, until all models are there, when they are."""

    binding_classes: ClassVar[list[Any]] = []
    register_immediately = False

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        if not any(isinstance(base, BindingMetaclass) for base in bases):
            return
        if BindingMetaclass.register_immediately:
            cls.register()
        BindingMetaclass.binding_classes.append(cls)

    def register(cls) -> None:
        """Be told of the model from now on."""
        raise NotImplementedError

    @classmethod
    def register_all(cls) -> None:
        """Register all bindings that there are, and each later one at once."""
        for binding in list(cls.binding_classes):
            binding.register()
        cls.register_immediately = True


class Binding(metaclass=BindingMetaclass):
    """
    A binding between a model and the members of groups, in both directions.

    Give it a ``model``, a class or ``"app.Model"``, and say by ``fields`` or ``exclude`` which of its fields are sent
    and may be set; ``["__all__"]`` stands for all. ``model = None`` makes a class one to derive others from. ``alias``
    is that of the layer that its groups are on.

    Outbound takes ``group_names``, ``serialize`` and ``encode``. Inbound takes ``deserialize``, ``has_permission``,
    ``create``, ``update`` and ``refuse``, and that ``consumer`` is given messages.
    """

    model: Any = None
    fields: Any = None
    exclude: Any = None
    stream: Any = None
    alias = DEFAULT_CHANNEL_LAYER
    channel_session_user = True
    channel_session = False
    # What the signal said that an outbound message is about: ``created``, ``update_fields``, ``origin``.
    signal_kwargs: Any = None
    # Of the message that a binding is made for.
    instance: Any
    message: Message
    kwargs: dict[str, Any]
    user: Any
    action: Any
    pk: Any
    data: Any
    # "app.model"; known when the binding is registered.
    model_label: str

    @classmethod
    def register(cls) -> None:
        """Be told of the model from now on. Raises ``ValueError`` for a class that says too little."""
        for model in cls.get_registered_models():
            outbound.watch(model, cls)

    @classmethod
    def unregister(cls) -> None:
        """Be told of nothing any more, as a binding that only one test makes."""
        outbound.ignore(cls)
        if cls in BindingMetaclass.binding_classes:
            BindingMetaclass.binding_classes.remove(cls)

    @classmethod
    def get_registered_models(cls) -> list[Any]:
        """Return the model, in a list; an empty one for a class that only others derive from."""
        if cls.model is None:
            if "model" in vars(cls):
                return []
            raise ValueError(f"{_name(cls)} has no model. Set it to one, or to None if others derive from this class.")
        if cls.fields is None and cls.exclude is None:
            raise ValueError(
                f"{_name(cls)} has neither fields nor exclude, and nothing of a model is sent unless you say so. "
                f"List the fields, or set fields = [{ALL_FIELDS!r}] for all of them."
            )
        if gone := next((name for name in _GONE if hasattr(cls, name)), None):
            raise ValueError(
                f"{_name(cls)} has {gone}, which nothing calls since Channels 1. group_names says whom an instance is "
                "told to, and serialize what, which may be nothing."
            )
        if isinstance(cls.model, str):
            cls.model = apps.get_model(cls.model)
        cls.model_label = cls.model._meta.label_lower
        _require_fields(cls)
        return [cls.model]

    @classmethod
    def field_names(cls) -> list[str]:
        """Return the names of the fields that are sent, many-to-many ones included."""
        excluded = cls.exclude or ()
        names = [name for name in _field_names(cls.model) if name not in excluded]
        return names if cls.fields is None or _means_all(cls.fields) else [name for name in names if name in cls.fields]

    # Outbound

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        """Return the names of the groups that an instance is told to."""
        raise NotImplementedError(f"{_name(cls)} must say in group_names(instance) whom an instance is told to.")

    @classmethod
    def message_about(cls, instance: Any, action: str, signal_kwargs: dict[str, Any]) -> Content | None:
        """Return the message about an instance, None if there is nothing to say."""
        self = cls()
        self.instance = instance
        self.signal_kwargs = signal_kwargs
        payload = self.serialize(instance, action)
        return cls.encode(cls.stream, payload) if payload else None

    def serialize(self, instance: Any, action: str) -> Any:
        """Return what is said about an instance; something empty for nothing. ``action``: create, update, delete."""
        raise NotImplementedError

    @classmethod
    def encode(cls, stream: Any, payload: Any) -> Content:
        """Return the message for a payload of a stream."""
        raise NotImplementedError

    # Inbound

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> None:
        """Do what a message asks for."""
        cls.get_handler()(message, **kwargs)

    @classmethod
    def get_handler(cls) -> Any:
        """Return ``trigger_inbound`` with the decorators that the class asks for."""
        if cls.channel_session_user:
            return channel_session_user(cls.trigger_inbound)
        return channel_session(cls.trigger_inbound) if cls.channel_session else cls.trigger_inbound

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what a message asks for, or refuse it."""
        from django.contrib.auth.models import AnonymousUser

        self = cls()
        self.message = message
        self.kwargs = kwargs
        self.user = getattr(message, "user", AnonymousUser())
        try:
            self.action, self.pk, self.data = self.deserialize(message)
            self.run_action(self.action, self.pk, self.data)
        except FrameRefused as refused:
            self.refuse(refused)

    def deserialize(self, message: Message) -> tuple[Any, Any, Any]:
        """Return action, pk and data of a message. pk is not used to create, data not to delete."""
        raise NotImplementedError

    def refuse(self, refused: FrameRefused) -> None:
        """Answer a message that was not followed: nothing has been changed."""
        raise NotImplementedError

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """
        Return whether a user may do something; nobody may, unless a class says so.

        ``user`` may be an ``AnonymousUser``; ``pk`` is None to create.
        """
        return False

    def run_action(self, action: Any, pk: Any, data: Any) -> None:
        """Do what is asked for, all or nothing. Raises ``FrameRefused``."""
        if action not in (CREATE, UPDATE, DELETE):
            raise FrameRefused("unknown_action", f"There is no action {shown(action)}; expected {_ACTIONS}.")
        pk = None if action == CREATE else self._clean_pk(pk)
        if action != DELETE and not isinstance(data, dict):
            raise FrameRefused(
                "malformed", f"The data of {action} is an object with a value for each field, not {shown(data)}."
            )
        try:
            if not self.has_permission(self.user, action, pk):
                raise PermissionDenied
            with transaction.atomic(using=router.db_for_write(self.model)):
                if action == CREATE:
                    self.create(data)
                elif action == UPDATE:
                    self.update(pk, data)
                else:
                    self.delete(pk)
        except self.model.DoesNotExist:
            raise FrameRefused("gone", f"There is no {self.model_label} {shown(pk)}, or no longer.") from None
        except ValidationError as error:
            raise _invalid(error) from error
        except PermissionDenied as error:
            raise FrameRefused("forbidden", str(error) or f"You may not {action} this.") from error
        except (IntegrityError, DataError) as error:
            logger.info("The database has refused what a binding was asked to do", exc_info=True)
            raise FrameRefused("invalid", f"The database refuses to {action} this.") from error

    def create(self, data: dict[str, Any]) -> None:
        """Make an instance of the data, and save it. Raises ``FrameRefused``, or Django's ``ValidationError``."""
        self._save(self.model(), data, self.settable_names())

    def update(self, pk: Any, data: dict[str, Any]) -> None:
        """Save an instance with the data. Raises as ``create`` does, and ``DoesNotExist`` of the model."""
        self._save(self._locked(pk), data, data)

    def delete(self, pk: Any) -> None:
        """Delete an instance. Raises ``DoesNotExist`` of the model."""
        self._locked(pk).delete()

    @classmethod
    def settable_names(cls) -> list[str]:
        """Return the names of the fields that an inbound message may set: of those that are sent, what a form shows."""
        opts = cls.model._meta
        settable = {field.name for field in opts.concrete_fields if field.editable and not _is_special(field)}
        return [name for name in cls.field_names() if name in settable]

    def _locked(self, pk: Any) -> Any:
        # Of two that change different fields at the same moment, none undoes what the other has done.
        using = router.db_for_write(self.model)
        visible = self.model._default_manager.using(using).filter(pk=pk).values("pk")
        return self.model._base_manager.using(using).select_for_update().get(pk__in=visible)

    def _save(self, instance: Any, data: dict[str, Any], validated: Collection[str]) -> None:
        settable = self.settable_names()
        if refused := sorted(data.keys() - set(settable)):
            known = ", ".join(settable) or "none"
            raise FrameRefused(
                "unknown_field",
                f"There is no field {', '.join(map(shown, refused))} that can be set; there are: {known}.",
            )
        opts = instance._meta
        if misread := {name: [why] for name, value in data.items() if (why := _misread(opts.get_field(name), value))}:
            raise ValidationError(misread)
        for name, value in data.items():
            setattr(instance, opts.get_field(name).attname, value)
        try:
            instance.full_clean(exclude=[field.name for field in opts.fields if field.name not in validated])
            instance.save()
        except (TypeError, ValueError, OverflowError) as error:
            # Some validators, and some drivers of databases, raise these for what they cannot take.
            logger.warning("A binding was sent data that %s cannot take", self.model_label, exc_info=True)
            raise ValidationError("The data holds a value that cannot be taken.") from error

    def _clean_pk(self, pk: Any) -> Any:
        try:
            if type(pk) in (int, str) and _can_be_stored(str(pk)):
                return self.model._meta.pk.to_python(pk)
        except ValidationError:
            pass
        raise FrameRefused("malformed", f"A pk of {self.model_label} cannot be {shown(pk)}.")


def _is_special(field: Any) -> bool:
    """Say whether a field must not be set to what a browser has sent: which row it is, and names of files."""
    return field.primary_key or isinstance(field, models.FileField)


def _misread(field: Any, value: Any) -> str:
    """
    Say why a field cannot be given a value of JSON, if Django would not say so.

    Its own fields take Python's text of a list for a text, and the whole part of a number for a number.
    """
    reader = field.target_field if field.is_relation else field
    convert = type(reader).to_python
    if convert in (models.CharField.to_python, models.TextField.to_python) and isinstance(value, bool | list | dict):
        return f"{shown(value)} is no text."
    if convert is models.IntegerField.to_python and (value is True or value is False or _has_fraction(value)):
        return f"{shown(value)} is no whole number."
    try:
        reader.to_python(value)
    except ValidationError:
        # full_clean says this, and what is wrong with the other values.
        pass
    except (TypeError, ValueError, OverflowError):
        return f"{shown(value)} cannot be taken."
    return ""


def _has_fraction(value: Any) -> bool:
    return isinstance(value, float) and not value.is_integer()


def _can_be_stored(text: str) -> bool:
    return "\x00" not in text and text.encode(errors="ignore").decode() == text


def _field_names(model: Any) -> list[str]:
    return [field.name for field in (*model._meta.concrete_fields, *model._meta.many_to_many)]


def _means_all(fields: Any) -> bool:
    return fields == ALL_FIELDS or list(fields) == [ALL_FIELDS]


def _require_fields(binding: type[Binding]) -> None:
    """Refuse names that are none: one that is misspelt in ``exclude`` would have the field sent."""
    known = _field_names(binding.model)
    for option in ("fields", "exclude"):
        names = getattr(binding, option)
        if names is None or (option == "fields" and _means_all(names)):
            continue
        if isinstance(names, str):
            raise ValueError(f"{_name(binding)}.{option} is the text {names!r}; expected a list of names.")
        if unknown := sorted(set(names).difference(known)):
            raise ValueError(
                f"{_name(binding)}.{option} names {unknown[0]!r}, but {binding.model_label} has no such field "
                f"(it has: {', '.join(known)}). What is no field goes into send_members."
            )


def _invalid(error: ValidationError) -> FrameRefused:
    fields: dict[str, list[str]] = {NON_FIELD_ERRORS: error.messages}
    if hasattr(error, "error_dict"):
        fields = dict(error.message_dict)
    detail = "; ".join(
        " ".join(messages) if name == NON_FIELD_ERRORS else f"{name}: {' '.join(messages)}"
        for name, messages in fields.items()
    )
    return FrameRefused("invalid", detail, fields=fields)


def _name(binding: type[Binding]) -> str:
    return f"{binding.__module__}.{binding.__qualname__}"
