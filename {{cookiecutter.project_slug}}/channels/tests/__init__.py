"""The old name of ``channels.test``."""

import warnings

from channels import test
from channels.test import *  # noqa: F403

__all__ = test.__all__

warnings.warn("channels.tests is the old name of channels.test: import from there.", DeprecationWarning, stacklevel=2)
