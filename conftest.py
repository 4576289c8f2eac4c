"""Settings that every test of the workspace shares."""

import os

from hypothesis import settings

# The same examples every run, so that a red test means a change; WIPPY_EXPLORE=1 looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=not os.environ.get("WIPPY_EXPLORE"))
settings.load_profile("repeatable")
