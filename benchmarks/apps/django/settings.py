SECRET_KEY = "benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
MIDDLEWARE = []
ROOT_URLCONF = "urls"
USE_I18N = False
USE_TZ = False
