"""Are the shared libraries of the system here that Qt and OpenCV load?

Wheels bring most libraries along, but not these: they belong to the graphics stack. Run with any Python,
before the virtual environment exists; standard library only. On systems other than Linux nothing is missing.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

# File that the loader looks for -> Debian and Ubuntu package. Found by ldd on the wheels of opencv-python and
# PySide6-Essentials: what their libraries and the platform plug-ins offscreen, xcb and wayland ask for.
NEEDED = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libzstd.so.1": "libzstd1",
}
NEEDED_ON_A_SCREEN = {
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
}


# The virtual screen on which tests use the window as a person does.
PROGRAMS_FOR_TESTS = {"Xvfb": "xvfb"}


def loads(soname: str) -> bool:
    """Does the dynamic loader find this library?"""
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def wanted(environment: Mapping[str, str], for_tests: bool = False) -> dict[str, str]:
    """What must load here: without a screen the window's libraries are left out, but tests make a screen."""
    screen = for_tests or environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return NEEDED | NEEDED_ON_A_SCREEN if screen else dict(NEEDED)


def missing_packages(libraries: Mapping[str, str], has: Callable[[str], bool] = loads) -> list[str]:
    """Debian packages of the libraries that do not load, each once, in order."""
    return list(dict.fromkeys(package for soname, package in libraries.items() if not has(soname)))


def missing_programs(for_tests: bool, has: Callable[[str], object] = shutil.which) -> list[str]:
    """Debian packages of programs that only tests start."""
    return [package for name, package in PROGRAMS_FOR_TESTS.items() if for_tests and not has(name)]


def installer_prefix() -> list[str] | None:
    """How ``apt-get`` can be run without asking anybody; None where it cannot."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def line_to_type(packages: Sequence[str], has_apt: bool) -> str:
    """The one line for a person who must install them."""
    if has_apt:
        return f"sudo apt-get install -y {' '.join(packages)}"
    return f"Install with your system's package manager (names as in Debian): {' '.join(packages)}"


def install(packages: Sequence[str], prefix: Sequence[str]) -> bool:
    """Installs through apt; False if that failed (its own message is on the terminal)."""
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    # A stale or empty package list is the usual reason for a failure, so it is refreshed first.
    subprocess.run([*prefix, *quiet, "update"], stdout=subprocess.DEVNULL)
    command = [*prefix, *quiet, "install", "-y", "--no-install-recommends", *packages]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def main(for_tests: bool = False) -> int:
    """0 when everything needed is there (now), else 1 with one line on standard error."""
    if not sys.platform.startswith("linux"):
        return 0
    packages = missing_packages(wanted(os.environ, for_tests)) + missing_programs(for_tests)
    if importlib.util.find_spec("ensurepip") is None:
        packages.append("python3-venv")
    if not packages:
        return 0
    prefix = installer_prefix()
    if prefix is not None:
        print(f"Installing system libraries: {' '.join(packages)}", flush=True)
        if install(packages, prefix):
            return 0
    print(
        f"System libraries are missing. {line_to_type(packages, bool(shutil.which('apt-get')))}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(for_tests="--for-tests" in sys.argv[1:]))
