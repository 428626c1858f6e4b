"""What only a database can show that locks rows: `test_postgresql` runs this with one that does."""

import threading

from django.contrib.auth.models import AnonymousUser
from django.db import connection

from .models import Book


def allow(self, user, action, pk):
    return True


def test_two_sockets_that_change_different_fields_undo_nothing(book_binding, tables):
    """The second waits until the first has been committed."""
    book = Book.objects.create(title="Emma", pages=400)
    inside, go_on = threading.Event(), threading.Event()

    class SlowBook(Book):
        class Meta:
            app_label = "bound"
            proxy = True

        def save(self, *args, **kwargs):
            inside.set()
            go_on.wait(10)
            super().save(*args, **kwargs)

    slow = book_binding(model=SlowBook, fields=["pages"], has_permission=allow)()
    quick = book_binding(has_permission=allow)()

    def run(binding, data):
        binding.user = AnonymousUser()
        binding.run_action("update", book.pk, data)
        connection.close()

    first = threading.Thread(target=run, args=(slow, {"pages": 7}))
    first.start()
    inside.wait(10)
    second = threading.Thread(target=run, args=(quick, {"title": "Persuasion"}))
    second.start()
    second.join(0.3)
    go_on.set()
    first.join()
    second.join()

    assert Book.objects.values_list("title", "pages").get() == ("Persuasion", 7)
