"""``pirouette models convert``: a weight file in another layout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.catalogue.load import load_catalogue
from core.cli.console import print_json
from core.cli.signals import terminated_like_ctrl_c
from core.errors import BadSetting

if TYPE_CHECKING:
    from core.engine.convert.convert import Converted, ConvertProgress
    from core.engine.models.config import TransformerConfig

_LAYOUTS = ("fp8", "int8", "bf16")


def add_parser(verbs: Any) -> None:
    """Add ``convert`` to the verbs of ``pirouette models``.

    Args:
        verbs: what ``add_subparsers`` gave.
    """
    parser = verbs.add_parser("convert", help="write a transformer's weights in another layout")
    parser.set_defaults(run=convert)
    parser.add_argument(
        "source", type=Path, metavar="IN", help="safetensors (file, index or folder), GGUF or .pth"
    )
    parser.add_argument("target", type=Path, metavar="OUT", help="the .safetensors file to write")
    parser.add_argument("--to", required=True, choices=_LAYOUTS, help="the layout to write")
    parser.add_argument(
        "--model",
        metavar="ID",
        help="the model that the file must hold in full; by default the one whose blocks it has, if any",
    )
    parser.add_argument("--any-model", action="store_true", help="do not check that the model is complete")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def convert(options: argparse.Namespace) -> int:
    """Convert, with a line of progress on a terminal; prints how far the weights moved."""
    config = _config(options.model) if options.model and not options.any_model else None
    known = () if options.any_model else _known()
    from core.engine.convert.convert import convert as run

    line = _Line()
    try:
        with terminated_like_ctrl_c():
            result = run(options.source, options.target, options.to, config, line.show, known=known)
    finally:
        line.close()
    if options.json:
        print_json(_data(result))
    else:
        print("\n".join(_sentences(result)), file=sys.stderr)
        print(result.path)
    return 0


def _config(model: str) -> TransformerConfig:
    """Sizes of the transformer of a model in the catalogue, or of an architecture."""
    from core.engine.models.config import TransformerConfig

    catalogue = load_catalogue()
    name = catalogue.models[model].architecture if model in catalogue.models else model
    if name not in catalogue.architectures:
        known = ", ".join(catalogue.models)
        raise BadSetting(f"There is no model '{model}'.", value=model, limit=known, action="Choose another.")
    return TransformerConfig.from_dict(catalogue.architectures[name].transformer)


def _known() -> list[TransformerConfig]:
    """Sizes of all transformers in the catalogue."""
    from core.engine.models.config import TransformerConfig

    return [TransformerConfig.from_dict(one.transformer) for one in load_catalogue().architectures.values()]


def _data(result: Converted) -> dict[str, Any]:
    return {
        "path": str(result.path),
        "to": result.target,
        "size_bytes": result.size_bytes,
        "tensors": dict(result.tensors),
        "relative_error": dict(result.errors),
        "worst": {"tensor": result.worst[0], "relative_error": result.worst[1]},
    }


def _sentences(result: Converted) -> list[str]:
    lines = [
        f"{result.tensors[kind]} tensors in {kind}: relative error {error:.2e}"
        for kind, error in result.errors.items()
    ]
    name, error = result.worst
    return [*lines, f"largest: {name}, {error:.2e}", f"{result.size_bytes / 1e9:.2f} GB"]


class _Line:
    """Gigabytes done, rewritten in place on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._drawn = False

    def show(self, progress: ConvertProgress) -> None:
        """Rewrite the line."""
        if sys.stderr.isatty():
            done, total = progress.bytes_done / 1e9, progress.bytes_total / 1e9
            print(f"\rconverting {done:.2f} of {total:.2f} GB\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = True

    def close(self) -> None:
        """End the line."""
        if self._drawn:
            print(file=sys.stderr)
            self._drawn = False
