"""Build configuration beside pyproject.toml: the optional native part (preemption by signal).

Without a compiler, elsewhere than on POSIX, or with WIPPY_PURE set, the kernel is pure Python and falls back to a count
hook; `wippy doctor` says which one runs.
"""

import os
import sys

from setuptools import Extension, setup

native = os.name == "posix" and sys.implementation.name == "cpython" and not os.environ.get("WIPPY_PURE")
setup(
    ext_modules=[
        Extension(
            "wippy.scheduler._native",
            ["wippy/scheduler/_native.c"],
            optional=True,
            py_limited_api=True,
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
        )
    ]
    if native
    else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if native else {},
)
