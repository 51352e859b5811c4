"""``pirouette models``: the commands and their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from core.catalogue.catalogue import Role
from core.cli import convert, models_files, models_get, models_show, models_user

_ID = "a model or a file of the catalogue, as `pirouette models list` shows them"


def add_parser(verbs: Any) -> None:
    """Add ``models`` to the commands.

    Args:
        verbs: what ``add_subparsers`` gave.
    """
    parser = verbs.add_parser("models", help="download, check and keep models")
    inner = parser.add_subparsers(dest="models_command", required=True, metavar="COMMAND")
    _add_looking(inner)
    _add_getting(inner)
    _add_keeping(inner)
    _add_own(inner)
    convert.add_parser(inner)


def _add_looking(verbs: Any) -> None:
    parser = _verb(verbs, "list", "all models and what is there of them", models_show.list_models)
    parser.add_argument("--all", action="store_true", help="every file of the catalogue, not only the models")
    parser = _verb(verbs, "show", "one model or file with everything known of it", models_show.show)
    parser.add_argument("id", metavar="ID", help=_ID)
    parser = _verb(
        verbs, "check-updates", "compare with what is published now; changes nothing", models_show.updates
    )
    _add_network(parser)
    parser.add_argument("--github", metavar="URL", help=argparse.SUPPRESS)


def _add_getting(verbs: Any) -> None:
    parser = _verb(verbs, "get", "download a model, or go on with it", models_get.get_models)
    parser.add_argument("ids", nargs="+", metavar="ID", help=_ID)
    parser.add_argument("--dry-run", action="store_true", help="only show what would come")
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="files at a time, 1 to 4")
    _add_network(parser)
    _add_from(parser)
    parser = _verb(verbs, "verify", "read all bytes and compare their hashes", models_get.verify_models)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"{_ID} (default: everything installed)")
    parser = _verb(verbs, "repair", "fetch damaged files again, and only those", models_get.repair_models)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"{_ID} (default: everything installed)")
    _add_network(parser)
    _add_from(parser)


def _add_keeping(verbs: Any) -> None:
    parser = _verb(verbs, "remove", "delete models or files", models_files.remove_models)
    parser.add_argument("ids", nargs="*", metavar="ID", help=_ID)
    parser.add_argument(
        "--everything-of",
        action="append",
        default=[],
        metavar="MODEL",
        help="delete also what other installed models need",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would go")
    parser = _verb(verbs, "import", "take in files that you have", models_files.import_files)
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="files or folders, also ComfyUI's"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_const", dest="mode", const="copy", help="always copy")
    how.add_argument("--link", action="store_const", dest="mode", const="link", help="only point to them")
    parser.add_argument("--as", dest="as_asset", metavar="ID", help="what the one file is, whatever its name")
    parser = _verb(verbs, "move", "put all models into another folder", models_files.move_models)
    parser.add_argument("folder", type=Path, metavar="DIR", help="an empty or new folder")


def _add_own(verbs: Any) -> None:
    parser = _verb(verbs, "add", "enter a file of your own or of another repository", models_user.add)
    parser.add_argument("what", metavar="FILE|OWNER/NAME:PATH")
    parser.add_argument("--role", required=True, choices=get_args(Role))
    parser.add_argument("--id", help="its id (default: from the name)")
    parser.add_argument("--precision", default="unknown", help="fp16, fp8, q4_k_m, ...")
    parser.add_argument("--layout", help="how the file is written (default: from its name)")
    parser.add_argument("--licence", default="unknown")
    parser.add_argument("--revision", default="main", help="of the repository")
    parser.add_argument("--for", dest="model", metavar="MODEL", help="the model that shall use it")
    parser = _verb(verbs, "forget", "take an entry of your own off the list", models_user.forget)
    parser.add_argument("id", metavar="ID")
    parser = _verb(verbs, "token", "keep an access token in the system's keyring", models_user.token)
    parser.add_argument("--remove", action="store_true", help="forget it")
    parser.add_argument("--endpoint", metavar="URL", help="for a mirror of the hub")
    parser = _verb(verbs, "settings", "show or change what is remembered", models_user.settings)
    parser.add_argument("--offline", choices=("on", "off"), help="whether calls may leave this machine")
    parser.add_argument("--endpoint", metavar="URL", help="a mirror of the hub, or `default`")
    parser.add_argument("--add-folder", type=Path, metavar="DIR", help="where files may lie already")
    parser.add_argument("--forget-folder", type=Path, metavar="DIR", help="no longer look there")


def _verb(verbs: Any, name: str, help_text: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--endpoint", metavar="URL", help="a mirror of the hub")
    parser.add_argument("--offline", action="store_true", help="let no call leave this machine")


def _add_from(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="folders",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="look here for files first (remembered)",
    )
