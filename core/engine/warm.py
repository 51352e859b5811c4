"""What an engine keeps from one render to the next: the model, and the engine that finds poses.

A model is used again where the next plan would load the very same; else it is dropped before the next one
is loaded, so that no memory holds two. One that a cancel, a pause or an error left in the middle is dropped,
too: its parts may be half moved.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from core.cache import Cache
from core.catalogue.catalogue import Architecture
from core.catalogue.entries import MINI, mini_folder
from core.engine.determinism import make_deterministic
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.loading.bundle import load_bundle
from core.engine.loading.header import weight_files
from core.engine.loading.parts import architecture_of, find_parts
from core.engine.machine import computes, give_back, give_back_ram
from core.engine.preview import PreviewsAsked
from core.engine.render import Emit, LoadBundle, render
from core.errors import BadCheckpoint
from core.pose.extract.engine import PoseEngine
from core.pose.extract.models import PoseModels, open_engine
from core.types import Checkpointing, Plan, RenderRequest, Result, Sampling, Size

Check = Callable[[], None]
_ANY_SIZE = Size(0, 0)


class WarmEngine:
    """Renders one after the other; see the module.

    Attributes:
        is_fit: whether it can render again. A GPU that failed in the middle of its work answers this process
            with errors from then on; another process can use it.

    Args:
        load: loads a planned model.
        cache: of encodings; None encodes everything.
    """

    def __init__(self, load: LoadBundle = load_bundle, cache: Cache | None = None) -> None:
        self._cache = cache
        self._bundle = KeptBundle(load)
        self._poses = KeptPoseEngine()
        self.is_fit = True

    def render(
        self,
        request: RenderRequest,
        plan: Plan,
        checkpointing: Checkpointing | None,
        check: Check,
        emit: Emit,
        previews: PreviewsAsked | None = None,
    ) -> Result:
        """One render; arguments and errors as ``core.engine.render.render``."""
        make_deterministic()
        try:
            result = render(
                request,
                plan,
                self._bundle.load,
                Hooks(check),
                emit,
                checkpointing,
                self._cache,
                open_pose=self._poses,
                previews=previews,
            )
        except BaseException as error:
            let_go(error)
            self._clear_up()
            raise
        self._bundle.rest()
        return result

    def held_bytes(self) -> int:
        """What this process holds of the GPU's memory; 0 before it uses one. From any thread."""
        return torch.cuda.memory_reserved() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]

    def _clear_up(self) -> None:
        """After a render that stopped in the middle."""
        self.is_fit = computes(self._bundle.device)
        if self.is_fit:
            self._bundle.drop_if_used()
            self._bundle.rest()

    def unload(self) -> None:
        """Give the memory back; the next render loads anew."""
        self._bundle.drop()
        self._poses.drop()
        give_back_ram()


class KeptBundle:
    """The last model that was loaded; its ``load`` is a ``LoadBundle``.

    Attributes:
        device: that it was last asked for.
    """

    def __init__(self, load: LoadBundle) -> None:
        self._load = load
        self._current = Hooks()
        self._key: BundleKey | None = None
        self._bundle: ModelBundle | None = None
        self.device = torch.device("cpu")
        self._used = False

    def load(self, plan: Plan, device: torch.device, hooks: Hooks) -> ModelBundle:
        """The kept model if it is the one that the plan wants, else the plan's; errors as ``load_bundle``.

        What the model was bound to when it was loaded reaches the ``hooks`` of the latest call.
        """
        hooks.check()
        key = BundleKey.of(plan, device)
        if self._bundle is not None and key != self._key:
            self.drop()
        self._current, self._used, self.device = hooks, True, device
        if self._bundle is None:
            self._bundle, self._key = self._load(plan, device, self._lasting_hooks()), key
        return self._bundle

    def drop_if_used(self) -> None:
        """Drop what the render that ends now was given; a model that it did not come to is left alone."""
        if self._used:
            self.drop()

    def rest(self) -> None:
        """The render is over: forget it, and give back what it took beside the model."""
        self._current, self._used = Hooks(), False
        give_back(self.device)
        give_back_ram()

    def drop(self) -> None:
        """Give the model's memory back."""
        self._bundle = self._key = None
        gc.collect()
        give_back(self.device)

    def _lasting_hooks(self) -> Hooks:
        return Hooks(lambda: self._current.check(), lambda progress: self._current.on_progress(progress))


@dataclass(frozen=True)
class FileState:
    """A file as far as its name and folder entry tell; None where it is not there."""

    path: Path
    size_bytes: int | None = None
    modified_ns: int | None = None
    inode: int | None = None

    @classmethod
    def of(cls, path: Path) -> FileState:
        """As it is now."""
        try:
            found = path.stat()
        except OSError:
            return cls(path)
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ino)


@dataclass(frozen=True)
class BundleKey:
    """All that a loaded model depends on: equal keys, equal models.

    Attributes:
        plan: without what decides nothing when the model is loaded.
        device: torch's, which is the same for several names of it.
        architecture: the catalogue's, which may change while the engine lives; None for the embedded model.
        files: that the model and its LoRAs are read from.
    """

    plan: Plan
    device: torch.device
    architecture: Architecture | None
    files: tuple[FileState, ...]

    @classmethod
    def of(cls, plan: Plan, device: torch.device) -> BundleKey:
        """The key of what the plan wants now; raises ``BadSetting`` for an unknown model."""
        wanted = replace(
            plan,
            sampling=Sampling(0),
            size=_ANY_SIZE,
            frames=0,
            chunking="",
            caching="",
            cache_threshold=None,
            decoder="",
            vram_peak_bytes=None,
            ram_peak_bytes=None,
            time_s=None,
            reasons=(),
            fits=True,
            lighter_steps=(),
            device="",
        )
        architecture = None if plan.model == MINI else architecture_of(plan.model)
        loras = [Path(lora.path) for lora in plan.loras]
        return cls(wanted, device, architecture, tuple(map(FileState.of, [*_model_files(plan), *loras])))


def _model_files(plan: Plan) -> list[Path]:
    """The files themselves and the folders that they may be in; one that is damaged stands for itself."""
    if plan.model == MINI:
        return sorted(mini_folder().iterdir())
    found: list[Path] = []
    for role, path in find_parts(plan).items():
        found.append(path)
        if role == "tokenizer":
            found += sorted(path.iterdir()) if path.is_dir() else []
            continue
        try:
            found += weight_files(path)
        except BadCheckpoint:
            continue
    return found


class KeptPoseEngine:
    """Opens the engine that finds poses and keeps it; called like ``open_engine``.

    One on a GPU is not kept: the memory is the model's next.
    """

    def __init__(self) -> None:
        self._files: tuple[PoseModels, tuple[FileState, ...]] | None = None
        self._engine: PoseEngine | None = None

    def __call__(self, models: PoseModels, gpu: bool = False) -> PoseEngine:
        """The kept engine if it is made of these files, else a new one; errors as ``open_engine``."""
        if gpu and models.engine != "offline":
            return open_engine(models, gpu)
        files = models, tuple(FileState.of(path) for path in models.files.values())
        if self._engine is None or files != self._files:
            self.drop()
            self._engine = open_engine(models, gpu)
            self._files = files
        return self._engine

    def drop(self) -> None:
        """Give its memory back."""
        self._engine = self._files = None


def let_go(error: BaseException) -> None:
    """Clear what the frames that an exception passed through still hold: tensors, generators, the model."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            rest += [one.__cause__, one.__context__]
