"""SteadyDancer's video transformer: Wan2.1 image-to-video plus pose conditions and two reference frames.

Source: SteadyDancer (arXiv 2511.19320) on Wan2.1-I2V-14B (arXiv 2503.20314). Shape letters: B batch,
C channels, T latent frames, H W latent size (even), D width. 16-bit weights run under ``torch.autocast``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.models.attention import Context, compute_cast, compute_dtype
from core.engine.models.blocks import Block, Head
from core.engine.models.condition import FrameAlignment, SpatialStructure, TemporalCoherence
from core.engine.models.config import TransformerConfig
from core.engine.models.embeddings import PATCH, ImageEmbedding, PatchEmbedding, timestep_sinusoid, unpatchify
from core.engine.models.residual import Residual
from core.engine.models.rope import RopeTable, rope_table
from core.errors import BadInput

REFERENCE_FRAMES = 2


class Conditioned(NamedTuple):
    """What ``SteadyDancerTransformer.velocity`` needs beside x and t; it does not depend on the step.

    Attributes:
        context: of cross-attention.
        fused: the pose's features [B, 16, T, H, W].
        y: mask and image latent [B, 20, T, H, W].
        references: tokens of the two reference frames [B, 2, H/2, W/2, D].
        rope: positions of all tokens.
    """

    context: Context
    fused: Tensor
    y: Tensor
    references: Tensor
    rope: RopeTable


class BlockRun:
    """Runs some of the blocks, by their fast forms where they have them."""

    def __init__(self, blocks: nn.ModuleList, e0: Tensor, context: Context, rope: RopeTable) -> None:
        self._blocks = blocks
        self._rest = (e0, context, rope)
        self.count = len(blocks)

    def __call__(self, x: Tensor, first: int, stop: int, /) -> Tensor:
        """x [B, L, D] float32, overwritten -> tokens after blocks ``first`` to ``stop`` - 1, float32."""
        fast = all(block.fast is not None for block in self._blocks)
        stream: Tensor | Residual = Residual(x, compute_dtype(x)) if fast else x
        for index in range(first, stop):
            stream = self._blocks[index](stream, *self._rest)
        return stream.settle() if isinstance(stream, Residual) else stream


Around = Callable[[Tensor, Tensor, Tensor, BlockRun], Tensor]
"""Stands in for the run of all blocks: (e [B, D], e0 [B, 6, D], tokens [B, L, D], run) -> tokens."""


class SteadyDancerTransformer(nn.Module):
    """Predicts the flow velocity (noise minus picture) of a noisy latent video.

    ``forward`` is ``velocity`` after ``prepare``, which does not depend on x and t, so that a render may
    call it once.

    Attributes:
        keeps_context: whether a render may keep every layer's keys and values of the context (14B: 630 MB a
            text). Not where memory is so short that blocks are streamed; making them anew costs 0.4 %.
    """

    keeps_context: bool = True

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        dim, channels = config.dim, config.in_dim_c
        self.patch_embedding = PatchEmbedding(config.in_dim, dim)
        self.patch_embedding_fuse = PatchEmbedding(config.fused_dim, dim)
        self.patch_embedding_ref_c = PatchEmbedding(channels, dim)
        self.condition_embedding_spatial = SpatialStructure(channels)
        self.condition_embedding_temporal = TemporalCoherence(channels)
        self.condition_embedding_align = FrameAlignment(channels)
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.img_emb = ImageEmbedding(config.clip_dim, dim)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.num_layers)])
        self.head = Head(dim, config.out_dim * PATCH * PATCH, config.eps)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        text: Tensor,
        condition: Tensor,
        y: Tensor,
        ref_x: Tensor,
        ref_c: Tensor,
        clip_x: Tensor,
        clip_c: Tensor | None = None,
        rope: RopeTable | None = None,
    ) -> Tensor:
        """Velocity [B, 16, T, H, W] float32.

        Args:
            x: noisy latent [B, 16, T, H, W].
            t: timestep 0..1000, [B].
            text: [B, n, text_dim] with n <= text_len, the prompt's true tokens.
            condition: latent of the pose video, [B, 16, T, H, W].
            y: mask and image latent, [B, 20, T, H, W].
            ref_x: latent, mask and latent of the reference picture, [B, 36, 1, H, W].
            ref_c: the same of the first pose picture; its first 16 channels are used.
            clip_x: CLIP tokens of the reference picture, [B, 257, clip_dim].
            clip_c: CLIP tokens of the first pose picture; None leaves them out.
            rope: positions of all tokens, where they are already on the device.

        Raises:
            BadInput: the latent size is odd, the shapes differ, or the text is too long.
        """
        self._check(x, condition, y)
        given = self.prepare(text, condition, y, ref_x, ref_c, clip_x, clip_c, rope=rope)
        return self.velocity(x, t, given)

    def prepare(
        self,
        text: Tensor,
        condition: Tensor,
        y: Tensor,
        ref_x: Tensor,
        ref_c: Tensor,
        clip_x: Tensor,
        clip_c: Tensor | None = None,
        keep_context: bool = False,
        rope: RopeTable | None = None,
    ) -> Conditioned:
        """What is the same at every step; arguments and errors as for ``forward``.

        Args:
            keep_context: keep each layer's keys and values of the context from the first forward on.
        """
        context = self.embed_context(text, clip_x, clip_c)
        return Conditioned(
            context._replace(kept={}) if keep_context else context,
            self.fuse_condition(condition),
            y,
            self.embed_references(ref_x, ref_c),
            rope or self.positions(y),
        )

    def positions(self, latent: Tensor) -> RopeTable:
        """Positions of all tokens of a video [B, C, T, H, W] and its reference frames, on its device."""
        frames, height, width = latent.shape[2], latent.shape[3] // PATCH, latent.shape[4] // PATCH
        grid = (frames + REFERENCE_FRAMES, height, width)
        return rope_table(grid, self.config.head_dim, latent.device, REFERENCE_FRAMES)

    def velocity(self, x: Tensor, t: Tensor, given: Conditioned, around: Around | None = None) -> Tensor:
        """What is left for each step: velocity [B, 16, T, H, W] float32.

        Args:
            x: noisy latent [B, 16, T, H, W]; t: timestep 0..1000, [B].
            given: from ``prepare``, of the same size.
            around: a cache that may leave blocks out.
        """
        self._check(x, given.fused, given.y)
        hidden, grid = self.embed_latents(x, given.fused, given.y, given.references)
        e, e0 = self.embed_time(t)
        run = BlockRun(self.blocks, e0, given.context, given.rope)
        hidden = run(hidden, 0, run.count) if around is None else around(e, e0, hidden, run)
        return unpatchify(torch.unflatten(self.head(hidden, e), 1, grid))[:, :, : x.shape[2]]

    def embed_latents(
        self, x: Tensor, fused: Tensor, y: Tensor, references: Tensor
    ) -> tuple[Tensor, tuple[int, int, int]]:
        """All tokens [B, L, D] float32 and their grid (frames, rows, columns)."""
        aligned = self.condition_embedding_align(fused, x)
        main = self.patch_embedding_fuse(torch.cat([x, y, fused, aligned], dim=1))
        tokens = torch.cat([main, references], dim=1)  # the reference frames stand at the end of time
        return tokens.flatten(1, 3).float(), (tokens.shape[1], tokens.shape[2], tokens.shape[3])

    def embed_context(self, text: Tensor, clip_x: Tensor, clip_c: Tensor | None = None) -> Context:
        """Text and CLIP tokens for cross-attention. Padding is attended to: the model was trained so."""
        missing = self.config.text_len - text.shape[1]
        if missing < 0:
            raise BadInput(
                f"The prompt has {text.shape[1]} tokens; the model takes at most {self.config.text_len}.",
                value=text.shape[1],
                limit=self.config.text_len,
                action="Shorten the prompt.",
            )
        image = self.img_emb(clip_x)
        if clip_c is not None:
            image = image + self.img_emb(clip_c)
        words = self.text_embedding(F.pad(text, (0, 0, 0, missing)))
        return Context(compute_cast(image), compute_cast(words))

    def embed_references(self, ref_x: Tensor, ref_c: Tensor) -> Tensor:
        """Tokens of the reference picture and the first pose picture, [B, 2, H/2, W/2, D]."""
        pose = self.patch_embedding_ref_c(ref_c[:, : self.config.in_dim_c])
        return torch.cat([self.patch_embedding(ref_x), pose], dim=1)

    def fuse_condition(self, condition: Tensor) -> Tensor:
        """Condition plus its temporal and its spatial features, [B, 16, T, H, W]."""
        temporal = self.condition_embedding_temporal(condition)
        spatial = self.condition_embedding_spatial(condition.transpose(1, 2).flatten(0, 1))
        spatial = torch.unflatten(spatial, 0, (condition.shape[0], -1)).transpose(1, 2)
        fused: Tensor = condition + temporal + spatial
        return fused

    def embed_time(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """t [B] -> e [B, D] and e0 [B, 6, D], float32; computed in the weights' dtype, not autocast's."""
        with torch.autocast(t.device.type, enabled=False):
            angles = timestep_sinusoid(t, self.config.freq_dim).to(self.patch_embedding.weight.dtype)
            e: Tensor = self.time_embedding(angles)
            e0 = torch.unflatten(self.time_projection(e), 1, (6, -1))
        return e.float(), e0.float()

    def _check(self, x: Tensor, condition: Tensor, y: Tensor) -> None:
        height, width = x.shape[-2:]
        if height % PATCH or width % PATCH:
            raise BadInput(
                f"The latent size {height} x {width} is odd; both sides must be even.",
                value=f"{height} x {width}",
                limit="even",
            )
        for name, tensor in (("condition", condition), ("y", y)):
            if tensor.shape[2:] != x.shape[2:]:
                raise BadInput(
                    f"{name} has frames and size {tuple(tensor.shape[2:])}, x has {tuple(x.shape[2:])}.",
                    value=tuple(tensor.shape[2:]),
                    limit=tuple(x.shape[2:]),
                )
