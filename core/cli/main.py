"""The command ``pirouette``: parses, runs one command, turns errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections.abc import Sequence
from typing import TextIO

from core.cli.console import print_error
from core.errors import Cancelled, EngineError, PirouetteError

_LOG = logging.getLogger("pirouette")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (0, 1, 2, 3, 4, 5 or 130); prints no traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    _write_any_name(sys.stdout)
    try:
        options = _parse(arguments)
        code: int = options.run(options)
        return code
    except PirouetteError as error:
        return print_error(error, as_json)
    except KeyboardInterrupt:
        return print_error(Cancelled(), as_json)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; nothing to tell anybody
        return 1
    except Exception as error:
        _LOG.debug("Unexpected", exc_info=True)
        return print_error(
            EngineError(
                f"Something unexpected went wrong: {type(error).__name__}: {error}.",
                action="Please report it with the command that you typed.",
            ),
            as_json,
        )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Imports what takes a second: only now, so that an impatient Ctrl-C gets its answer too."""
    if arguments[:1] == ["bench"]:
        from core.cli import bench  # runs where libraries that other commands import are missing

        return bench.parse(arguments)
    from core.cli.arguments import parse

    return parse(arguments)


def _write_any_name(stream: TextIO) -> None:
    """Names may have letters that an old code page lacks: they are shown escaped, and stop no command."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")
