from django.shortcuts import get_object_or_404, render

from .models import Blog


def blog(request, slug):
    return render(request, "blogs/blog.html", {"blog": get_object_or_404(Blog, slug=slug)})
