"""What the next render can be set to: a draft's fields by name, and what each model offers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from core.geometry import VAE_STRIDE, fit_frames, latent_size
from core.types import Sampling, Size
from desktop.model.draft import Draft, changed, selection_of
from desktop.model.facts import Facts

if TYPE_CHECKING:
    from core.catalogue.entries import Family, ModelEntry
    from core.catalogue.presets import Preset
    from core.catalogue.store import Store

# Where each field of the inspector stands in a draft.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("model",),
    "preset": ("preset",),
    "size": ("size",),
    "frames": ("frames",),
    "seed": ("seed",),
    "seed_locked": ("seed_locked",),
    "prompt": ("prompt",),
    "negative_prompt": ("negative_prompt",),
    "align": ("pose", "align"),
    "smoothing": ("pose", "smoothing"),
    "bridge": ("pose", "bridge"),
    "sound": ("sound",),
    "embed_settings": ("embed_settings",),
    "loras": ("loras",),
    "device": ("device",),
    "try_anyway": ("try_anyway",),
    **{
        name: ("overrides", name)
        for name in (
            "steps",
            "sampler",
            "shift",
            "guidance_scale",
            "condition_guidance_scale",
            "condition_guidance_start",
            "condition_guidance_end",
            "attention",
            "sla_topk",
            "dense_references",
            "precision",
            "caching",
            "cache_threshold",
            "vae_dtype",
            "decoder",
            "offload",
        )
    },
}
OVERRIDES: Final = tuple(name for name, path in FIELDS.items() if path[0] == "overrides")
# Overrides of a number that a preset has.
SAMPLING: Final = OVERRIDES[:7]
# Overrides that name one of a few ways, by what the engine can do.
WAYS: Final = ("attention", "precision", "caching", "vae_dtype", "decoder", "offload")
# What counts only where another field has certain values.
OF_SPARSE: Final = ("sla_topk", "dense_references")
OF_CACHES: Final = ("cache_threshold",)
NO_CACHE: Final = (None, "none")
_BUDGETS_14B: Final = (Size(832, 480), Size(1024, 576), Size(1280, 720))
_SHARES_OF_MINI: Final = (0.5, 1.0, 2.0, 4.0)
_GRID: Final = 16


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be named, or the plain id that leaves the checkpoint to the planner.

    Attributes:
        size_bytes: of what is still to be downloaded for it; 0 for what is here.
    """

    id: str
    title: str
    installed: bool
    size_bytes: int = 0


@dataclass(frozen=True)
class Offers:
    """What this version offers on this machine's disk, by model id.

    Attributes:
        ways: family -> field -> what the engine can do.
        sparse: kinds of attention that keep a share of the keys; trained: those that need weights for it.
        trained_models: ids of models whose weights are, or may be, trained for them.
    """

    models: tuple[ModelChoice, ...]
    entries: Mapping[str, ModelEntry]
    presets: Mapping[tuple[str, Family], Preset]
    ways: Mapping[Family, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    sparse: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    trained_models: frozenset[str] = frozenset()

    def model(self, model_id: str) -> ModelChoice | None:
        """The choice with this id."""
        return next((model for model in self.models if model.id == model_id), None)

    def preset(self, draft: Draft) -> Preset | None:
        """The draft's preset for the draft's model; None where one of the two is unknown."""
        entry = self.entries.get(draft.model)
        return None if entry is None else self.presets.get((draft.preset, entry.family))

    def size(self, draft: Draft) -> Size | None:
        """The area budget: asked for, the preset's where the model takes it, or the model's own."""
        entry, preset = self.entries.get(draft.model), self.preset(draft)
        if draft.size is not None or entry is None:
            return draft.size
        own = preset.size if preset is not None else None
        takes = own is not None and entry.smallest_area <= own.area <= entry.largest_area
        return own if takes else entry.native_size

    def sampling(self, draft: Draft) -> Sampling | None:
        """The preset's numbers at the draft's size, overrides left aside."""
        preset, size = self.preset(draft), self.size(draft)
        return None if preset is None or size is None else preset.sampling_at(size)

    def sizes(self, draft: Draft) -> tuple[Size, ...]:
        """Area budgets to choose from, the smallest first."""
        entry = self.entries.get(draft.model)
        if entry is None:
            return ()
        named = [preset.size for (_, family), preset in self.presets.items() if family == entry.family]
        usual = _BUDGETS_14B if entry.family == "14b" else _around(entry.native_size)
        every = {size for size in (*usual, *named, entry.native_size) if size is not None}
        fitting = (size for size in every if entry.smallest_area <= size.area <= entry.largest_area)
        return tuple(sorted(fitting, key=lambda size: (size.area, size.width)))

    def ways_of(self, draft: Draft, name: str) -> tuple[str, ...]:
        """What the engine can do for a field such as ``precision`` with the draft's model."""
        entry = self.entries.get(draft.model)
        return () if entry is None else tuple(self.ways.get(entry.family, {}).get(name, ()))

    def counts(self, draft: Draft, name: str) -> bool:
        """Whether a field means something beside the others: a share of keys needs sparse attention."""
        if name in OF_SPARSE:
            return draft.overrides.attention in self.sparse
        return name not in OF_CACHES or draft.overrides.caching not in NO_CACHE

    def is_trained_for(self, draft: Draft, attention: str) -> bool:
        """Whether the draft's weights may be used with a kind of attention."""
        return attention not in self.trained or draft.model in self.trained_models

    def takes_loras(self, draft: Draft) -> bool:
        """The embedded model takes none."""
        entry = self.entries.get(draft.model)
        return entry is not None and entry.family != "mini"


def value_of(draft: Draft, name: str) -> Any:
    """A field of the draft by its name in ``FIELDS``."""
    found: Any = draft
    for part in FIELDS[name]:
        found = getattr(found, part)
    return found


def with_value(draft: Draft, name: str, value: object) -> Draft:
    """The draft with one field replaced."""
    first, *rest = FIELDS[name]
    if rest:
        value = replace(getattr(draft, first), **{rest[0]: value})
    return changed(draft, **{first: value})


def read_offers(store: Store) -> Offers:
    """Models, presets and abilities; reads files, so it is called on a thread.

    Raises:
        BadCheckpoint: the embedded model is damaged. BadSetting: a preset is.
    """
    from core.catalogue.entries import MINI, PLAIN_14B, entry
    from core.catalogue.planning.abilities import CHOICES, SPARSE, TRAINED
    from core.catalogue.planning.attention import trained_ids
    from core.catalogue.presets import preset
    from core.types import PRESET_NAMES

    known = _checkpoints(store)
    models = (ModelChoice(MINI, "", True), *_plain(store, PLAIN_14B, known), *known)
    entries = {model.id: entry(model.id, store.catalogue) for model in models}
    families: tuple[Family, ...] = ("mini", "14b")
    presets = {(name, family): preset(name, family) for name in PRESET_NAMES for family in families}
    catalogue = store.catalogue
    trained = {model.id for model in catalogue.models.values() if trained_ids(model, catalogue)}
    if any(PLAIN_14B in one for one in trained):
        trained.add(PLAIN_14B)
    return Offers(models, entries, presets, CHOICES, SPARSE, TRAINED, frozenset(trained))


def fitted_to(draft: Draft, offers: Offers) -> tuple[Draft, tuple[str, ...]]:
    """The draft without what its model cannot do, and the names of the fields that were set back."""
    entry, lost = offers.entries.get(draft.model), []
    if entry is None:
        return draft, ()
    for name in WAYS:
        value = value_of(draft, name)
        if value is None:
            continue
        if value not in offers.ways_of(draft, name) or (
            name == "attention" and not offers.is_trained_for(draft, value)
        ):
            lost.append(name)
    if draft.size is not None and not entry.smallest_area <= draft.size.area <= entry.largest_area:
        lost.append("size")
    if draft.frames is not None and draft.frames > entry.native_frames:
        lost.append("frames")
    for name in lost:
        draft = with_value(draft, name, None)
    return without_idle(draft, offers), tuple(lost)


def without_idle(draft: Draft, offers: Offers) -> Draft:
    """The draft without settings of a sparse attention or a cache that it has not."""
    for name in (*OF_SPARSE, *OF_CACHES):
        if value_of(draft, name) is not None and not offers.counts(draft, name):
            draft = with_value(draft, name, None)
    return draft


def pixels(width: int, height: int, size: Size) -> Size:
    """Width and height of the video for a reference of this shape."""
    rows, columns = latent_size(width, height, size.area)
    return Size(columns * VAE_STRIDE, rows * VAE_STRIDE)


@dataclass(frozen=True)
class Length:
    """How long the result will be.

    Attributes:
        available: frames of the selection at 16 fps; frames: of the result; longest: of the model.
    """

    available: int
    frames: int
    longest: int

    @property
    def cut(self) -> bool:
        """Is the selection longer than the model renders at once?"""
        return self.available > self.longest + 3


def length_of(draft: Draft, facts: Facts, offers: Offers) -> Length | None:
    """None while the motion or the model is not known."""
    entry, clip = offers.entries.get(draft.model), facts.clip
    if entry is None or clip is None:
        return None
    start_s, end_s = selection_of(draft, clip.duration_s)
    available = frames_between(start_s, end_s)
    longest = draft.frames if draft.frames is not None else entry.native_frames
    frames = fit_frames(available, min(longest, entry.native_frames)) if available and longest > 0 else 0
    return Length(available, frames, entry.native_frames)


def frames_between(start_s: float, end_s: float) -> int:
    """Output frames in a range, as ``core.media.read.frames_in`` counts them."""
    from core.media.read import frames_in

    return frames_in(end_s - start_s)


def _checkpoints(store: Store) -> list[ModelChoice]:
    from core.catalogue.catalogue import PARTS

    states = {name: state.state == "installed" for name, state in store.states().items()}
    assets = store.catalogue.assets
    found = []
    for model in store.catalogue.models.values():
        missing = [
            model.parts[role][0]
            for role in PARTS
            if not any(states.get(asset, False) for asset in model.parts[role])
        ]
        size = sum(assets[asset].bytes_for_planning for asset in missing)
        found.append(ModelChoice(model.id, model.title, not missing, size))
    return found


def _plain(store: Store, plain: str, known: list[ModelChoice]) -> list[ModelChoice]:
    """The id that leaves the checkpoint to the planner, where the catalogue has any."""
    from core.catalogue.entries import checkpoints
    from core.errors import BadSetting

    try:
        ids = {model.id for model in checkpoints(plain, store.catalogue)}
    except BadSetting:
        return []
    return [ModelChoice(plain, "", any(model.installed for model in known if model.id in ids))]


def _around(native: Size) -> tuple[Size, ...]:
    """Squares from half to four times the embedded model's own area."""
    sides = (round(math.sqrt(native.area * share) / _GRID) * _GRID for share in _SHARES_OF_MINI)
    return tuple(Size(side, side) for side in sides if side > 0)
