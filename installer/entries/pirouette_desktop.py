"""The window's executable of a bundle."""

import os
import sys

from desktop.main import main

if __name__ == "__main__":
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # a program of Windows without a console
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    sys.exit(main())
