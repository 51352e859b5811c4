"""What the encoders give, kept in the app's cache by content: a hit has the bits that computing would have.

The key names all that decides the bits: what is encoded before any preparation, whose weights encode it and
how, the libraries, the device, threads and flags. So a hit also spares preparing the pictures, and an encoder
that is read on demand is not read at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from core.cache import Cache, cache_key
from core.engine.interfaces import Check, ModelBundle, never
from core.engine.kernels import Kernels
from core.engine.record import version_of
from core.types import Plan

Part = Literal["text_encoder", "image_encoder", "vae"]
# Counts up when the preparation in ``pictures.py``, an encoder's code or the storage gives other bits.
_VERSION: Final = "2"
_NAME: Final = "encoding"
# Whose code prepares and encodes; torch stands in ``Kernels``.
_LIBRARIES: Final = ("transformers", "tokenizers", "ftfy", "pillow")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encodings:
    """The cache as one render uses it.

    Attributes:
        cache: None computes everything.
        encoders: by part, a text that names its weights and how it computes; others are not cached.
    """

    cache: Cache | None = None
    encoders: Mapping[str, str] = field(default_factory=dict)

    def get(
        self, part: Part, content: Callable[[], tuple[str, ...]], encode: Callable[[], Tensor]
    ) -> tuple[Tensor, bool]:
        """The encoding, and whether it was there already.

        Args:
            content: names all that is encoded; called only where the part is cached.
            encode: computes it, float32 on whatever device; one from the cache is on the CPU.
        """
        if self.cache is None or part not in self.encoders:
            return encode(), False
        key = cache_key("encoding", _VERSION, part, self.encoders[part], *content())
        found = _unpack(self.cache.get(key))
        if found is not None:
            return found, True
        made = encode()
        stored = made.cpu().contiguous()
        if torch.isfinite(stored).all():  # a GPU that failed once must not spoil all later renders
            self.cache.put(key, save({_NAME: stored}))
        return made, False


def encodings_of(
    bundle: ModelBundle, plan: Plan, device: torch.device, kernels: Kernels, cache: Cache | None
) -> Encodings:
    """The cache for the encoders of ``bundle`` as ``plan`` has them compute on ``device``."""
    versions = {name: version_of(name) for name in _LIBRARIES}
    encoding = kernels.without("recipe").to_data()  # which is the transformer's
    common = json.dumps({"device": device.type, **versions, **encoding}, sort_keys=True)
    ids = bundle.part_ids
    told: dict[str, tuple[object, ...]] = {
        "text_encoder": (ids.get("tokenizer"), plan.text_on),
        "image_encoder": (),
        "vae": (plan.vae_dtype, plan.vae_tile),
    }
    return Encodings(
        cache, {part: repr((ids[part], *how, common)) for part, how in told.items() if part in ids}
    )


def pictures_hash(pictures: NDArray[np.uint8], check: Check = never) -> str:
    """SHA-256 of pictures [H, W, 3] or [F, H, W, 3] with their shape; ``check`` is called before each."""
    digest = hashlib.sha256(repr(pictures.shape).encode())
    for picture in pictures if pictures.ndim == 4 else [pictures]:
        check()
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


def _unpack(data: bytes | None) -> Tensor | None:
    """The stored tensor; None for what is none, which is then computed again."""
    if data is None:
        return None
    try:
        tensor = load(data)[_NAME]
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
        _LOG.warning("An encoding in the cache is damaged and made again: %s", error)
        return None
    return tensor if tensor.dtype == torch.float32 else None
