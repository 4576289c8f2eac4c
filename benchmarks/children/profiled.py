"""Run another script of this directory under cProfile: OUTPUT SCRIPT ARGS…; the profile is written when it ends."""

import cProfile
import runpy
import sys

output, script, *args = sys.argv[1:]
sys.argv = [script, *args]
profile = cProfile.Profile()
try:
    profile.runcall(
        runpy.run_path, script, run_name="__main__"
    )  # unlike `-m cProfile` this makes it sys.modules["__main__"]
finally:
    profile.dump_stats(output)
