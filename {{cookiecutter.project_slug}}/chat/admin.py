from django.contrib import admin

from .models import Message, Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):
    list_display = ["name", "slug"]
    search_fields = ["name"]


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):
    """A message saved or deleted here changes in the open windows at once."""

    list_display = ["created", "room", "author", "text"]
    ordering = ["-pk"]
    list_display_links = ["text"]
    list_filter = ["room"]
    list_select_related = ["room", "author"]
    search_fields = ["text"]
    autocomplete_fields = ["room", "author"]
