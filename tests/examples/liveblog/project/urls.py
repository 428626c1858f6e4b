from blogs import views
from django.contrib import admin
from django.urls import re_path

urlpatterns = [
    re_path(r"^admin/", admin.site.urls),
    re_path(r"^(?P<slug>[-\w]+)/$", views.blog, name="blog"),
]
