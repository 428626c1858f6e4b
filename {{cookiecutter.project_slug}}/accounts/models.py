"""The users of the site. What else is to be known of them becomes a field here, and a migration."""

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangosUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from .names import look_of, problem_with

TAKEN = _("This name is taken, or looks like one that is.")


def validate_name(name):
    UnicodeUsernameValidator()(name)
    if problem := problem_with(name):
        raise ValidationError(problem, code="look")


class UserManager(DjangosUserManager):
    """Finds users by their names as people read them: Anna is anna."""

    def get_by_natural_key(self, username):
        return self.get(look=look_of(username))

    async def aget_by_natural_key(self, username):
        return await self.aget(look=look_of(username))


class LookField(models.CharField):
    """What the name of a user looks like, made from it whenever the user is saved, by ``bulk_create`` as well."""

    def pre_save(self, instance, add):
        instance.look = look_of(instance.username)
        return instance.look


class User(AbstractUser):
    username = models.CharField(
        "username",
        max_length=150,
        unique=True,
        validators=[validate_name],
        error_messages={"unique": TAKEN},
    )
    # A letter of Greek may become four: itself and what stands around it.
    look = LookField(max_length=600, unique=True, editable=False)

    objects = UserManager()

    def save(self, *, update_fields=None, **kwargs):
        if update_fields is not None and "username" in update_fields:
            update_fields = {*update_fields, "look"}
        super().save(update_fields=update_fields, **kwargs)

    def validate_unique(self, exclude=None):
        super().validate_unique(exclude)
        if exclude and "username" in exclude:
            return
        if User.objects.filter(look=look_of(self.username)).exclude(pk=self.pk).exists():
            raise ValidationError({"username": ValidationError(TAKEN, code="unique")})
