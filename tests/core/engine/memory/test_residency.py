"""Parts come when their phase begins and leave when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from core.engine.interfaces import AllResident, Check, Hooks, never
from core.engine.linear.lora import LoraSet
from core.engine.loading.checkpoint import expected_shapes
from core.engine.memory.residency import Parts, make_residency
from core.engine.memory.tiles import TiledVAE
from core.engine.memory.transformer_part import TransformerPart
from core.engine.models.config import TransformerConfig
from core.errors import BadSetting, Cancelled
from core.evaluation.memory_peaks.forwards import Clip, random_conditions
from core.evaluation.memory_peaks.weights import RandomTransformer
from core.types import Lora, Plan, Sampling, Size
from tests.core.engine.tiny_wan import Watcher
from tests.fakes.tiny_weights import random_lora

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    dim=32, num_heads=2, num_layers=4, ffn_dim=64, text_len=4, text_dim=16, clip_dim=16, freq_dim=32
)
PLAN = Plan("steadydancer-14b", Sampling(1), Size(32, 32), 5, residency="phased")
PARAMETERS = sum(tensor.numel() for tensor in RandomTransformer(CONFIG, "bfloat16").build().parameters())


@dataclass
class Loaders:
    """Loads encoders that know nothing, and remembers how often."""

    loads: list[str] = field(default_factory=list)
    text_releases: int = 0

    @property
    def parts(self) -> Parts:
        return Parts(lambda: self._load("vae"), lambda: self._load("image"), self)

    def release(self) -> None:
        self.text_releases += 1

    def encode(self, prompt: str) -> Tensor:
        return torch.full((len(prompt.split()), 16), 1.0)

    def _load(self, name: str) -> Known:
        self.loads.append(name)
        return Known()


class Known:
    """VAE and image encoder of zeros."""

    def encode(self, picture: Tensor, _check: Check = never) -> Tensor:
        return torch.zeros(len(picture))

    def decode(self, latents: Tensor, _check: Check = never) -> Iterator[Tensor]:
        yield torch.zeros(len(latents))


@torch.no_grad()
def forward(module: nn.Module) -> Tensor:
    conditions = random_conditions(Clip(32, 32, 5), CONFIG)
    names = ("text", "condition", "y", "ref_x", "ref_c", "clip_x", "clip_c")
    inputs = {name: getattr(conditions, name)[None] for name in names}
    x = torch.full((1, *conditions.latent_shape), 0.3)
    with torch.autocast("cpu", torch.bfloat16):
        out: Tensor = module(x, torch.tensor([500.0]), **inputs)
    return out


def numbers_there(module: nn.Module) -> int:
    return sum(tensor.numel() for tensor in module.parameters() if not tensor.is_meta)


def test_resident_parts_are_there_from_the_start() -> None:
    loaders = Loaders()
    placed = make_residency(
        replace(PLAN, residency="resident"), CPU, RandomTransformer(CONFIG, "bfloat16"), loaders.parts
    )
    assert isinstance(placed.residency, AllResident)
    assert loaders.loads == ["vae", "image"]
    assert numbers_there(placed.transformer) == PARAMETERS


def test_in_phases_only_the_part_in_use_is_there() -> None:
    loaders = Loaders()
    placed = make_residency(PLAN, CPU, RandomTransformer(CONFIG, "bfloat16"), loaders.parts)
    assert (loaders.loads, numbers_there(placed.transformer)) == ([], 0)
    placed.residency.enter("encode")
    assert loaders.loads == []
    for _ in range(2):
        placed.image_encoder.encode(torch.zeros(3))
        placed.vae.encode(torch.zeros(3))
    assert loaders.loads == ["image", "vae"]
    placed.residency.enter("sample")
    assert numbers_there(placed.transformer) == PARAMETERS
    assert loaders.text_releases == 1
    placed.residency.enter("decode")
    assert numbers_there(placed.transformer) == 0
    assert len(list(placed.vae.decode(torch.zeros(3)))) == 1
    assert loaders.loads == ["image", "vae", "vae"]


@pytest.mark.parametrize("kind", ["bfloat16", "fp8", "q8_0"])
def test_every_residency_gives_the_same_bits(kind: str) -> None:
    source = RandomTransformer(CONFIG, kind)
    whole = source.build()
    source.fill(whole, CPU)
    expected = forward(whole)
    for residency, blocks in [
        ("resident", None),
        ("phased", None),
        ("streamed", 0),
        ("streamed", 3),
    ]:
        plan = replace(PLAN, residency=residency, blocks_resident=blocks)
        placed = make_residency(plan, CPU, source, Loaders().parts)
        placed.residency.enter("sample")
        assert torch.equal(forward(placed.transformer), expected)
        assert torch.equal(forward(placed.transformer), expected)


def test_the_transformer_can_come_again() -> None:
    placed = make_residency(
        replace(PLAN, residency="streamed", blocks_resident=1),
        CPU,
        RandomTransformer(CONFIG, "fp8"),
        Loaders().parts,
    )
    placed.residency.enter("sample")
    first = forward(placed.transformer)
    placed.residency.enter("decode")
    placed.residency.enter("sample")
    assert torch.equal(forward(placed.transformer), first)


def test_loras_are_put_in_after_each_filling_before_a_block_moves_out() -> None:
    def patch(module: nn.Module, prefix: str) -> None:
        if prefix == "blocks.2.":
            module.get_parameter("blocks.2.ffn.0.bias").add_(1)

    source = RandomTransformer(CONFIG, "bfloat16")
    whole = source.build()
    source.fill(whole, CPU)
    plain = forward(whole)
    patch(whole, "blocks.2.")
    expected = forward(whole)
    assert not torch.equal(plain, expected)
    part = TransformerPart(source, CPU, patch, blocks_resident=0)
    for _ in range(2):
        part.bring()
        assert torch.equal(forward(part.module), expected)
        part.release()


@pytest.mark.parametrize("kind", ["bfloat16", "fp8"])
def test_real_loras_merged_or_live_travel_with_streamed_blocks(kind: str, tmp_path: Path) -> None:
    source = RandomTransformer(CONFIG, kind)
    whole = source.build()
    state = {name: torch.empty(shape) for name, shape in expected_shapes(CONFIG).items()}
    save_file(random_lora(state, seed=2), tmp_path / "lora.safetensors")
    asked = [Lora(str(tmp_path / "lora.safetensors"), 0.7)]
    source.fill(whole, CPU)
    plain = forward(whole)
    LoraSet.open(asked, expected_shapes(CONFIG)).patch(whole)
    expected = forward(whole)
    assert not torch.equal(plain, expected)
    loras = LoraSet.open(asked, expected_shapes(CONFIG))
    part = TransformerPart(source, CPU, loras.patch, blocks_resident=1)
    for _ in range(2):
        part.bring()
        assert torch.equal(forward(part.module), expected)
        part.release()


def test_streamed_blocks_stand_in_host_memory_once() -> None:
    part = TransformerPart(RandomTransformer(CONFIG, "bfloat16"), CPU, blocks_resident=1)
    part.bring()
    tensors = list(part.module.get_submodule("blocks.0").parameters())
    a_block = sum(tensor.numel() * 2 for tensor in tensors)
    assert 3 * a_block <= part.host_bytes <= 3 * (a_block + 256 * len(tensors))
    part.release()
    assert part.host_bytes == 0


def test_a_cancel_between_blocks_lets_go_of_what_was_read() -> None:
    watcher = Watcher(cancel_at=14)
    part = TransformerPart(RandomTransformer(CONFIG, "bfloat16"), CPU, blocks_resident=0, hooks=watcher.hooks)
    with pytest.raises(Cancelled):
        part.bring()
    assert numbers_there(part.module) == 0
    part.bring()
    assert numbers_there(part.module) == PARAMETERS
    steps = [progress.step for progress in watcher.progress if progress.phase == "load"]
    assert steps[-1] == watcher.progress[-1].steps - 1


def test_a_residency_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadSetting, match="no residency elsewhere"):
        make_residency(
            replace(PLAN, residency="elsewhere"), CPU, RandomTransformer(CONFIG, "bfloat16"), Loaders().parts
        )


def test_the_plan_decides_about_tiles() -> None:
    plan = replace(PLAN, residency="resident", vae_tile=256, chunking="tiles")
    placed = make_residency(plan, CPU, RandomTransformer(CONFIG, "bfloat16"), Loaders().parts, Hooks())
    assert isinstance(placed.vae, TiledVAE)
