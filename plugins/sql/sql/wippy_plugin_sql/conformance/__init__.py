"""The conformance kit: what every SQL driver, ours or a third party's, has to do. The README tells how to run it."""

from wippy_plugin_sql.conformance.connections import *  # noqa: F403
from wippy_plugin_sql.conformance.driver import SqlDriver, database
from wippy_plugin_sql.conformance.programs import *  # noqa: F403
from wippy_plugin_sql.conformance.transactions import *  # noqa: F403

# Everything is for `import *` in a driver's test module: pytest finds the tests there.
__all__ = ["SqlDriver", "database", *(name for name in globals() if name.startswith("test_"))]
