"""
The pages of the chat: ordinary Django views, run by the workers like everything else.

Anyone may read. To open a room or to write, one must be signed in.
"""

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import redirect_to_login
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.generic import CreateView, ListView

from accounts.limits import LimitedForm

from .forms import MessageForm, RoomForm
from .frames import described
from .models import LastRead, Message, Room, TooFast
from .room_list import PAGE_ROOMS

# A page of history holds this many messages.
HISTORY_MESSAGES = 50


class RoomList(ListView):
    """All rooms, those somebody wrote in last first."""

    template_name = "chat/room_list.html"
    paginate_by = PAGE_ROOMS
    queryset = Room.objects.newest_first()

    def paginate_queryset(self, queryset, page_size):
        paginator, page, rooms, is_paginated = super().paginate_queryset(queryset, page_size)
        return paginator, page, Room.objects.listed(rooms, self.request.user), is_paginated


class NewRoom(LoginRequiredMixin, LimitedForm, CreateView):
    template_name = "chat/new_room.html"
    form_class = RoomForm

    def counted(self, form):
        return [("room", str(self.request.user.pk))]


@require_safe
def show_room(request, slug):
    """Show a room: its newest messages, or those before a given one."""
    return room_page(request, get_object_or_404(Room, slug=slug), MessageForm())


@require_safe
def history(request, slug):
    """Give earlier messages to the page that is open already."""
    room = get_object_or_404(Room, slug=slug)
    messages, more = messages_before(room, asked_before(request))
    return JsonResponse({"messages": [described(message) for message in messages], "more": more})


@require_POST
def say(request, slug):
    """Save a message from a plain form. It appears in the open windows like one from a socket."""
    room = get_object_or_404(Room, slug=slug)
    if not request.user.is_authenticated:
        return redirect_to_login(room.get_absolute_url())
    form = MessageForm(request.POST)
    if not form.is_valid():
        return room_page(request, room, form, status=422)
    try:
        Message.objects.say(room, request.user, **form.cleaned_data)
    except TooFast as too_fast:
        form.add_error("text", str(too_fast))
        return room_page(request, room, form, status=429)
    return redirect(room)


def room_page(request, room, form, status=200):
    before = asked_before(request)
    messages, more = messages_before(room, before)
    if before is None and messages and request.user.is_authenticated:
        LastRead.objects.mark(request.user, room.pk, messages[-1].pk)
    context = {"room": room, "messages": messages, "more": more, "is_newest": before is None, "form": form}
    return render(request, "chat/room.html", context, status=status)


def asked_before(request):
    """Return the number in ``?before=17``, or None when there is none."""
    text = request.GET.get("before", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def messages_before(room, before=None):
    """Return a page of messages, the oldest first, and whether there are earlier ones."""
    found = room.messages.select_related("author").order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    newest = list(found[: HISTORY_MESSAGES + 1])
    return newest[:HISTORY_MESSAGES][::-1], len(newest) > HISTORY_MESSAGES
