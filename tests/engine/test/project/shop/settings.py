SECRET_KEY = "no secret"
ALLOWED_HOSTS = []
INSTALLED_APPS = [
    "channels",
    "daphne",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "shop",
]
ROOT_URLCONF = "shop.urls"
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
# Of a layer that tests must never reach, and of which there is no package here.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.redis.RedisChannelLayer",
        "CONFIG": {"hosts": [("192.0.2.1", 6379)]},
        "ROUTING": "shop.routing.channel_routing",
    }
}
