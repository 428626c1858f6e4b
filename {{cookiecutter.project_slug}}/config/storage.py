"""How static files are stored for production."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):
    """
    Compressed files with a hash of their content in the name, so that browsers may keep them for ever.

    Imports between JavaScript modules get the hashed names too: after a deploy no browser mixes old and new ones.
    """

    support_js_module_import_aggregation = True
