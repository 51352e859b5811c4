"""The command line's executable of a bundle: without torch, which some commands borrow from the engine's."""

import os
import subprocess
import sys

from core.cli.main import main
from core.helper import helper_command

# Verbs that compute with torch in their own process.
WITH_TORCH = ("bench", "check-golden", "evaluate", "hardware", "models")


def hand_over(arguments: list[str]) -> int:
    """Run the command line by the engine's executable; its exit code."""
    command = [*helper_command("core.cli"), *arguments]
    if sys.platform != "win32":  # whose exec returns to the shell at once
        os.execv(command[0], command)
    return subprocess.call(command)


if __name__ == "__main__":
    borrows = next((word for word in sys.argv[1:] if not word.startswith("-")), "") in WITH_TORCH
    sys.exit(hand_over(sys.argv[1:]) if borrows else main())
