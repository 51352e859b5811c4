"""Runs first in each executable: programs of the system that we start must not load our libraries.

PyInstaller's starter puts the bundle's folder into ``LD_LIBRARY_PATH`` on Linux. The loader has read it by
now; our own executables set it again for themselves.
"""

import os
import sys

if sys.platform == "linux" and os.environ.get("LD_LIBRARY_PATH", "").startswith(sys._MEIPASS):
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", "")
    if before:
        os.environ["LD_LIBRARY_PATH"] = before
    else:
        del os.environ["LD_LIBRARY_PATH"]
