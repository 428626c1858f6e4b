from django.shortcuts import render

from .models import Team


def scores(request):
    return render(request, "teams/scores.html", {"teams": Team.objects.filter(retired=False)})
