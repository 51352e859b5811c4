"""The entry point: ``pirouette-desktop [FILE...]``. Imports little before the imports are made quick."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping, Sequence


def forget_opencv_plugins(environment: MutableMapping[str, str]) -> None:
    """Importing opencv-python on Linux points Qt at plug-ins and fonts of its own, made for another Qt."""
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        if "cv2" in environment.get(name, ""):
            del environment[name]


def skip_feature_search() -> bool:
    """Keep PySide from reading the source of every module that is imported after it; False where it does not.

    It looks there for the name of PySide, to know whether names in snake case may be switched on. We never
    switch them on, and the reading takes a sixth of a second of our start (PySide 6.11).
    """
    import PySide6.QtCore  # noqa: F401 (brings the search along)

    feature = sys.modules.get("shibokensupport.feature")
    if not hasattr(feature, "_mod_uses_pyside"):
        return False
    feature._mod_uses_pyside = lambda _module: False  # type: ignore[union-attr]
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app until its window is closed; the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    forget_opencv_plugins(os.environ)
    skip_feature_search()
    from desktop.app import run
    from desktop.log import keep_log

    keep_log()
    return run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
