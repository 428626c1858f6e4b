import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["anna", "ANNA", "Ａｎｎａ"])
def test_a_user_is_found_by_the_name_as_people_read_it(anna, name):
    assert User.objects.get_by_natural_key(name) == anna


@pytest.mark.parametrize("name", ["Anna", "\u1d00\u0274\u0274\u1d00"])
def test_the_database_keeps_names_that_look_alike_apart_however_they_come(anna, name):
    with pytest.raises(IntegrityError):
        User.objects.bulk_create([User(username=name)])


def test_a_user_who_is_saved_or_made_in_bulk_is_found_by_the_new_name(anna):
    User.objects.bulk_create([User(username="Ben")])
    anna.username = "Chloe"
    anna.save(update_fields=["username"])

    assert {User.objects.get_by_natural_key(name).username for name in ("ben", "chloe")} == {"Ben", "Chloe"}


@pytest.mark.parametrize("name", ["Anna", "\u0430nna", "a b"])
def test_validation_refuses_what_sign_up_does(anna, name):
    with pytest.raises(ValidationError) as refused:
        User(username=name, password="x").full_clean()

    assert list(refused.value.message_dict) == ["username"]


def test_a_user_is_no_obstacle_to_itself(anna):
    anna.full_clean()


def test_createsuperuser_knows_the_rules(anna):
    for name in ("Anna", "\u0430nna"):
        with pytest.raises(CommandError):
            call_command("createsuperuser", "--noinput", username=name, email="x@example.com")
