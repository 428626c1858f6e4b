from django.contrib.auth.decorators import login_required
from django.shortcuts import render

from .models import Room


@login_required
def index(request):
    rooms = Room.objects.order_by("title")
    if not request.user.is_staff:
        rooms = rooms.filter(staff_only=False)
    return render(request, "chat/index.html", {"rooms": rooms})
