import uuid

from django import forms
from django.utils.translation import gettext_lazy as _

from .models import MAX_TEXT, Message, Room


class RoomForm(forms.ModelForm):
    class Meta:
        model = Room
        fields = ["name"]
        labels = {"name": _("Name of the new room")}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "off"})}


class MessageForm(forms.ModelForm):
    """What a browser without JavaScript sends; with it, ``room.js`` says the same over the socket."""

    client_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    class Meta:
        model = Message
        fields = ["text"]
        labels = {"text": _("Message")}
        widgets = {
            "text": forms.Textarea(attrs={"rows": 1, "data-most": MAX_TEXT, "placeholder": _("Write a message")}),
        }
