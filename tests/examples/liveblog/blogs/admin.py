from django.contrib import admin

from .models import Blog, Entry

admin.site.register(Blog)
admin.site.register(Entry)
