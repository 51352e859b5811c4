"""The parser of all commands. A mistake raises ``BadSetting`` instead of ending the process."""

from __future__ import annotations

import argparse
from typing import NoReturn

from core.errors import BadSetting


class Parser(argparse.ArgumentParser):
    """Raises our own error, so that ``--json`` and exit codes hold for typing mistakes too."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse on any mistake."""
        raise BadSetting(f"{message[:1].upper()}{message[1:]}.", action=f"See `{self.prog} --help`.")
