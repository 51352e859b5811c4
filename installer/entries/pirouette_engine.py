"""The executable of a bundle that holds torch: runs one of our modules as ``python -m`` does.

``pirouette-engine --module NAME [ARGUMENT...]``; ``--check`` imports what renders need and names what fails.
"""

import importlib
import multiprocessing
import runpy
import sys

from core.helper import MODULE_FLAG, MODULES

CHECK_FLAG = "--check"
# Imported late or by name, so that a build may miss them.
NEEDED = (
    "torch",
    "safetensors.torch",
    "transformers.models.umt5.modeling_umt5",
    "transformers.models.clip.modeling_clip",
    "transformers.models.t5.tokenization_t5",
    "transformers.models.auto.tokenization_auto",
    "ftfy",
    "gguf",
    "cv2",
    "av",
    "onnxruntime",
    "ai_edge_litert.interpreter",
    "keyring.backends",
    "huggingface_hub",
    "core.engine.loading.companions",
    "core.engine.loading.checkpoint",
    "core.evaluation.golden.run",
)


def main(arguments: list[str]) -> int:
    """Run a module of the list, with the rest of the arguments as its own."""
    if arguments == [CHECK_FLAG]:
        return check()
    if len(arguments) < 2 or arguments[0] != MODULE_FLAG or arguments[1] not in MODULES:
        sys.stderr.write(f"usage: pirouette-engine {MODULE_FLAG} {{{','.join(MODULES)}}} [ARGUMENT...]\n")
        return 2
    sys.argv[1:] = arguments[2:]
    runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    return 0


def check() -> int:
    """Import all that renders need."""
    missing = []
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a package does where a part of it is missing
            missing.append(f"{name}: {type(error).__name__}: {error}")
    sys.stdout.write("\n".join(missing or ["complete"]) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main(sys.argv[1:]))
