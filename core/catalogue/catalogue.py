"""The catalogue: every file that the app may fetch or use, as data (``resources/catalogue.toml``).

An asset is one thing with a role (a transformer, a tokenizer, ...) and consists of one or several files of
one repository. A model names the assets it is made of; an architecture holds the sizes of its networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal[
    "transformer",
    "vae",
    "text_encoder",
    "tokenizer",
    "image_encoder",
    "lora",
    "preview_decoder",
    "pose_detector",
    "pose_estimator",
    "other_weights",
]
PARTS: tuple[Role, ...] = ("transformer", "vae", "text_encoder", "tokenizer", "image_encoder")
Source = Literal["huggingface", "github", "local", "converted"]
LAYOUTS = (
    "wan",
    "wan_shards",
    "fp8_scaled",
    "int8_block",
    "int8_quanto",
    "gguf",
    "diffusers",
    "open_clip",
    "onnx",
    "tokenizer",
    "lora",
    "pickle",
    "other",
)


@dataclass(frozen=True)
class CatalogueFile:
    """One file of an asset.

    Attributes:
        path: in the repository; for source ``local`` on this machine. With ``resolve`` it may be a pattern
            (``*``) that exactly one file of the repository must match.
        size_bytes, sha256: exact, where a public source states them; the hub says them otherwise.
        about_bytes: an estimate, used where ``size_bytes`` is unknown.
    """

    path: str
    size_bytes: int | None = None
    sha256: str | None = None
    about_bytes: int | None = None

    @property
    def bytes_for_planning(self) -> int:
        """Exact size or estimate; 0 where neither is known."""
        return self.size_bytes or self.about_bytes or 0


@dataclass(frozen=True)
class Asset:
    """Files with one role.

    Attributes:
        precision: ``fp32``, ``fp16``, ``bf16``, ``fp8``, ``int8``, ``q4_k_m``, ... as in the model ids.
        layout: how the file is written: ``wan``, ``wan_shards``, ``fp8_scaled``, ``int8_block``,
            ``int8_quanto``, ``gguf``, ``diffusers``, ``open_clip``, ``onnx``, ``tokenizer``, ``lora``,
            ``pickle``, ``other`` (that no loader here reads). Of companions ``wan`` means upstream's own
            names and ``diffusers`` those of diffusers or transformers.
        made_for: the architecture it was trained for, where that is another model's.
        resolve: name, size and hash are read from the hub before the user is asked.
        converted_from: for source ``converted``, the asset it is made of.
        sparse: of a transformer: trained for sparse-linear attention.
    """

    id: str
    title: str
    role: Role
    repository: str
    files: tuple[CatalogueFile, ...]
    precision: str
    layout: str
    licence: str
    revision: str = "main"
    source: Source = "huggingface"
    made_for: str | None = None
    resolve: bool = False
    converted_from: str | None = None
    note: str = ""
    sparse: bool = False

    @property
    def bytes_for_planning(self) -> int:
        """Sum over the files."""
        return sum(file.bytes_for_planning for file in self.files)


@dataclass(frozen=True)
class Architecture:
    """Sizes of the networks: keyword arguments of ``TransformerConfig``, ``umt5_config``, the CLIP tower and
    ``WanVAEConfig`` (only what differs from Wan 2.1's)."""

    id: str
    transformer: dict[str, Any]
    text_encoder: dict[str, Any]
    image_encoder: dict[str, Any]
    vae: dict[str, Any]
    native_width: int
    native_height: int
    native_frames: int


@dataclass(frozen=True)
class CatalogueModel:
    """A model id and the assets it may be made of.

    Attributes:
        precision: of its transformer.
        parts: role -> asset ids, the default first; any of them will do.
        loras: the LoRA names of presets (``lightx2v``) -> asset ids, the default first.
    """

    id: str
    title: str
    architecture: str
    precision: str
    parts: dict[Role, tuple[str, ...]]
    loras: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Upstream:
    """A source repository on GitHub whose changes we want to know of; ``revision`` is the commit we know."""

    id: str
    repository: str
    revision: str
    branch: str = "main"


@dataclass(frozen=True)
class Catalogue:
    """Everything by id."""

    architectures: dict[str, Architecture]
    assets: dict[str, Asset]
    models: dict[str, CatalogueModel]
    upstreams: dict[str, Upstream] = field(default_factory=dict)
