"""
Tell bindings of the instances of their models that are saved and deleted, and send what they say after the commit.

The groups that an instance was in are those of its row: the instance in hand may have been changed since it was loaded,
and its row by somebody else. So the row is read once more before it is overwritten or deleted.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from ..channel import Group
from ..exceptions import ChannelsException
from ..layers.base import Content
from ..registry import layer_behind

CREATE, UPDATE, DELETE = "create", "update", "delete"

# Where an instance keeps what was before it is saved or deleted. It is a stack: a receiver may save it once more.
_STACK = "_channels_bindings"


class Watcher(Protocol):
    """What a binding's class tells of itself."""

    @property
    def alias(self) -> str:
        """That of the layer that its groups are on."""

    def group_names(self, instance: Any) -> Iterable[str]:
        """Return the groups that are told of an instance."""

    def message_about(self, instance: Any, action: str, signal_kwargs: dict[str, Any]) -> Content | None:
        """Return what they are told, None for nothing."""


class _Before(NamedTuple):
    """What was before a change, for one binding: the row, its groups, and what is sent there if it is deleted."""

    binding: Watcher
    row: Any
    groups: frozenset[str]
    deletion: Content | None = None


# The bindings of each model, in the order in which they were registered.
_bindings: dict[Any, list[Watcher]] = {}


def watch(model: Any, binding: Watcher) -> None:
    """Tell a binding of the instances of a model and of its proxies from now on; once, however often this is said."""
    for sender in _with_proxies(model):
        bindings = _bindings.setdefault(sender, [])
        if binding not in bindings:
            bindings.append(binding)
        for signal, receiver in _RECEIVERS:
            signal.connect(receiver, sender=sender)


def ignore(binding: Watcher) -> None:
    """Tell a binding of nothing any more."""
    for sender, bindings in list(_bindings.items()):
        if binding in bindings:
            bindings.remove(binding)
        if not bindings:
            del _bindings[sender]
            for signal, receiver in _RECEIVERS:
                signal.disconnect(receiver, sender=sender)


def _with_proxies(model: Any) -> Iterator[Any]:
    yield model
    for subclass in model.__subclasses__():
        if subclass._meta.proxy:
            yield from _with_proxies(subclass)


def _before_save(sender: Any, instance: Any, raw: bool, using: str, **kwargs: Any) -> None:
    # What loaddata saves may come before what it refers to.
    if not raw:
        row = None if _will_be_inserted(instance) else _row_of(instance, using)
        _push(instance, [_Before(binding, row, _groups(binding, row)) for binding in _bindings[sender]])


def _before_delete(sender: Any, instance: Any, using: str, **kwargs: Any) -> None:
    # All but the one that the site has in hand have just been loaded, in order to be deleted.
    row = _row_of(instance, using) if kwargs.get("origin") is instance else instance
    befores = []
    for binding in _bindings[sender]:
        groups = _groups(binding, row)
        # Said now: what it refers to may be deleted along with it.
        befores.append(_Before(binding, row, groups, binding.message_about(row, DELETE, kwargs) if groups else None))
    _push(instance, befores)


def _after_save(sender: Any, instance: Any, raw: bool, using: str, **kwargs: Any) -> None:
    if raw:
        return
    befores = _pop(instance)
    saved = _saved(instance, befores[0].row, kwargs.get("update_fields"), using)
    for binding, row, before, _ in befores:
        now = _groups(binding, saved)
        # What has left a group is shown there as it was: what it has become is no business of that group.
        for groups, action, shown in (
            (before - now, DELETE, row),
            (before & now, UPDATE, saved),
            (now - before, CREATE, saved),
        ):
            if groups:
                _send_after_commit(binding, groups, binding.message_about(shown, action, kwargs), using)


def _after_delete(sender: Any, instance: Any, using: str, **kwargs: Any) -> None:
    for binding, _, groups, deletion in _pop(instance):
        _send_after_commit(binding, groups, deletion, using)


_RECEIVERS = (
    (pre_save, _before_save),
    (post_save, _after_save),
    (pre_delete, _before_delete),
    (post_delete, _after_delete),
)


def _will_be_inserted(instance: Any) -> bool:
    """Say whether Django inserts an instance without asking whether there is such a row."""
    key = instance._meta.pk
    return instance.pk is None or (instance._state.adding and (key.has_default() or key.has_db_default()))


def _row_of(instance: Any, using: str) -> Any:
    """Return what the database has under the key of an instance, None for nothing."""
    return type(instance)._base_manager.using(using).filter(pk=instance.pk).first()


def _saved(instance: Any, row: Any, update_fields: Collection[str] | None, using: str) -> Any:
    """Return what has been saved: the instance in hand or, where that holds anything else, what is in its row."""
    values = vars(instance)
    # What is deferred is loaded when it is asked for.
    fields = [field for field in instance._meta.concrete_fields if field.attname in values]
    if any(_is_elsewhere(field, values[field.attname], row, update_fields) for field in fields):
        return _row_of(instance, using)
    # Django saves what it can make a date of, say, and leaves the instance with the text.
    read = {field.attname: field.to_python(values[field.attname]) for field in fields}
    if all(type(value) is type(values[name]) for name, value in read.items()):
        return instance
    saved = copy.copy(instance)
    vars(saved).update(read)
    return saved


def _is_elsewhere(field: Any, value: Any, row: Any, update_fields: Collection[str] | None) -> bool:
    """Say whether the value that is in the row is known to the database only, or may be another one."""
    if hasattr(value, "resolve_expression"):
        return True
    if update_fields is None or field.name in update_fields or field.attname in update_fields:
        return False
    # Some values, such as arrays, do not compare to a bool.
    return (value == getattr(row, field.attname, None)) is not True


def _groups(binding: Watcher, instance: Any) -> frozenset[str]:
    if instance is None:
        return frozenset()
    names = binding.group_names(instance)
    if isinstance(names, str | bytes):
        owner = getattr(binding, "__qualname__", binding)
        raise TypeError(f"{owner}.group_names has returned {names!r}; expected a list of names.")
    return frozenset(names)


def _push(instance: Any, befores: list[_Before]) -> None:
    vars(instance).setdefault(_STACK, []).append(befores)


def _pop(instance: Any) -> list[_Before]:
    stack: list[list[_Before]] = vars(instance)[_STACK]
    befores = stack.pop()
    if not stack:
        del vars(instance)[_STACK]
    return befores


def _send_after_commit(binding: Watcher, groups: frozenset[str], message: Content | None, using: str) -> None:
    if message:
        to = [Group(name, alias=binding.alias) for name in sorted(groups)]
        transaction.on_commit(lambda: _send(to, message), using=using, robust=True)


def _send(groups: list[Group], message: Content) -> None:
    """Send to groups. What is saved stays so whatever comes of this, which is logged and counted."""
    for group in groups:
        try:
            group.send(message)
        except ChannelsException as error:
            advice = f"A binding could not send: {error}"
            layer_behind(group.channel_layer).statistics.count_dropped(group.name, "not sent by a binding", advice)
