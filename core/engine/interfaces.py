"""What a model bundle consists of, whatever the checkpoint: real 14B, mini, or a tiny one in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from core.types import Progress

Check = Callable[[], None]
RenderPhase = Literal["encode", "sample", "decode"]


def never() -> None:
    """The cancel check of work that nobody can cancel."""


@dataclass(frozen=True)
class Hooks:
    """``check`` raises ``Cancelled`` when the user asked; ``on_note`` gets what the user should know.

    ``check`` is called between forwards and between VAE chunks.
    """

    check: Check = never
    on_progress: Callable[[Progress], None] = lambda _: None
    on_note: Callable[[str], None] = lambda _: None


class VideoVAE(Protocol):
    """Causal video autoencoder with stride (4, 8, 8) and 16 latent channels."""

    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        """video [B, 3, 4n+1, 8h, 8w] in [-1, 1] -> normalised posterior mean [B, 16, n+1, h, w], float32."""
        ...

    def decode(self, latents: Tensor, check: Check = never) -> Iterator[Tensor]:
        """latents [B, 16, n+1, h, w] -> chunks [B, 3, 1 or 4, 8h, 8w] in [-1, 1], first chunk one frame."""
        ...


class TextEncoder(Protocol):
    """Prompt to token features."""

    def encode(self, prompt: str) -> Tensor:
        """-> [n, text_dim], n the true number of tokens, at most text_len."""
        ...


class ImageEncoder(Protocol):
    """Picture to token features."""

    def encode(self, image: Tensor) -> Tensor:
        """image [3, H, W] in [-1, 1] at its own size -> [257, clip_dim]."""
        ...


@runtime_checkable
class Releasable(Protocol):
    """A part that can drop its weights and read them again on demand."""

    def release(self) -> None:
        """Give the memory back."""
        ...


class Residency(Protocol):
    """Told before each phase of a render that uses the model."""

    def enter(self, phase: RenderPhase) -> None:
        """Let go of what this phase does not use and bring what it does. Long where weights are read.

        Raises:
            Cancelled: between two reads, if the user asked.
            BadCheckpoint: a file that is read late is damaged.
        """
        ...


class AllResident:
    """Nothing moves."""

    def enter(self, phase: RenderPhase) -> None:
        """Nothing to do."""


@dataclass(frozen=True)
class ModelSpec:
    """What the pipeline must know about a checkpoint.

    ``pose_canvas_area`` is the area budget that skeletons are drawn for (at twice its side lengths);
    ``pose_hands`` False leaves hands undrawn; ``pose_redraw`` reads the joints of a skeleton video back by
    colour and draws them anew, for a model that works at a much smaller size than the video was drawn for.
    """

    name: str
    native_area: int
    native_frames: int
    pose_canvas_area: int
    pose_hands: bool = True
    pose_redraw: bool = False
    default_negative_prompt: str = ""


@dataclass(frozen=True)
class ModelBundle:
    """Everything of one model. ``transformer`` is a ``SteadyDancerTransformer``.

    Parts may be empty shells outside the phases that use them: ``residency.enter`` comes before each phase.
    ``notes`` is what the user should know about the files, such as keys of a LoRA that were left out.
    ``part_ids`` says by role of the catalogue which weights these are: equal texts, equal weights. What comes
    from a part that is missing there is not cached, since nobody could tell whose it was.
    """

    spec: ModelSpec
    transformer: nn.Module
    vae: VideoVAE
    text_encoder: TextEncoder
    image_encoder: ImageEncoder
    residency: Residency = field(default_factory=AllResident)
    notes: tuple[str, ...] = ()
    part_ids: Mapping[str, str] = field(default_factory=dict)
