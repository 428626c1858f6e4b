"""
The pages of the chat: ordinary Django views, run by the workers like everything else.

Anyone may read. To open a room or to write, one must be signed in.
"""

from urllib.parse import urljoin, urlsplit

from django.contrib.auth import login
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView, RedirectURLMixin, redirect_to_login
from django.http import HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe
from django.views.generic import CreateView, ListView

from .forms import MessageForm, RoomForm, SignUpForm
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


class NewRoom(LoginRequiredMixin, CreateView):
    template_name = "chat/new_room.html"
    form_class = RoomForm


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


class AccountPage(RedirectURLMixin):
    """Remembers where the visitor came from, in the form and in the links to the other account pages."""

    def get_redirect_url(self):
        """Return where the visitor came from; nothing for another site, nor for the account pages themselves."""
        url = super().get_redirect_url()
        account_pages = urljoin(self.request.path, "..")  # /accounts/, wherever the site is mounted
        path = urlsplit(urljoin(self.request.path, url)).path
        return "" if path.startswith(account_pages) else url

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {"next": self.get_success_url()}


class SignIn(AccountPage, LoginView):
    """Sign in, and go on where the visitor came from."""

    redirect_authenticated_user = True


@method_decorator(sensitive_post_parameters(), name="dispatch")
class SignUp(AccountPage, CreateView):
    """Make an account, and go on signed in where the visitor came from."""

    template_name = "registration/signup.html"
    form_class = SignUpForm
    next_page = "rooms"

    def form_valid(self, form):
        login(self.request, form.save())
        return HttpResponseRedirect(self.get_success_url())


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
