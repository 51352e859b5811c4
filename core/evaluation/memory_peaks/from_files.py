"""Writes weight files, loads them on a GPU and on the CPU and compares (``python -m ... --out X.json``).

Every layout is filled through pinned memory onto the device, must there be the same weights bit for bit, give
the same velocity within 16 bits, and survive leaving and coming back (phased, streamed, with LoRAs). Without
a GPU it compares the CPU with itself at tiny sizes, which only tries the program.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig

from core.engine.determinism import make_deterministic
from core.engine.linear.gguf_blocks import DECODERS, dequantise_gguf
from core.engine.linear.lora import LoraSet
from core.engine.linear.quantised import QuantisedLinear
from core.engine.loading.checkpoint import TransformerFile, expected_shapes
from core.engine.machine import give_back
from core.engine.memory.residency import Parts, Placed, make_residency
from core.engine.memory.tiles import TiledVAE
from core.engine.memory.transformer_part import Patch, unpatched
from core.engine.models.clip_vision import load_clip_vision
from core.engine.models.config import TransformerConfig
from core.engine.models.umt5 import UMT5TextEncoder, encode_ids, read_umt5, umt5_config
from core.engine.models.wan_vae import load_wan_vae
from core.evaluation.memory_peaks.forwards import Clip, random_conditions
from core.evaluation.memory_peaks.meter import Report
from core.evaluation.memory_peaks.pictures import decoded, psnr, smooth_video
from core.evaluation.memory_peaks.sample_files import (
    Sizes,
    write_image_encoder,
    write_lora,
    write_text_encoders,
    write_transformers,
    write_vae,
)
from core.types import Lora, Plan, Sampling

CPU = torch.device("cpu")
CLIP = Clip(64, 64, 9)
TILE = 128
GGUF_BLOCKS = 4096
MEDIUM = Sizes(
    TransformerConfig(dim=1024, num_heads=8, num_layers=3, ffn_dim=2048),
    umt5_config(64_000, dim=512, dim_attn=512, dim_ffn=1024, num_layers=2, num_heads=8),
    CLIPVisionConfig(hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2),
    {"base_dim": 32},
    Clip(256, 192, 9),
)
TINY = Sizes(
    TransformerConfig(dim=128, num_heads=2, num_layers=3, ffn_dim=256, text_dim=64, text_len=8, clip_dim=32),
    umt5_config(500, dim=64, dim_attn=64, dim_ffn=128, num_layers=2, num_heads=2),
    CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2),
    {"base_dim": 4},
    Clip(136, 32, 5),
)
# Relative to the float32 result: what bfloat16 products leave after a few blocks, or twice the CPU's error.
NEAR = 2e-2
# A bfloat16 that was rounded the other way.
ONE_STEP = 5e-3
PICTURE_DB = 35.0


def main() -> int:
    """Check everything; 1 if something differs or broke."""
    parser = argparse.ArgumentParser(prog="python -m core.evaluation.memory_peaks.from_files")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--tiny", action="store_true", help="small networks on a GPU, too")
    parser.add_argument("--limit-s", type=float, default=120.0, help="start nothing new after so long")
    arguments = parser.parse_args()
    make_deterministic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = TINY if arguments.tiny or device.type == "cpu" else MEDIUM
    report = Report(arguments.out, arguments.limit_s)
    with tempfile.TemporaryDirectory(prefix="pirouette-files-") as folder:
        check_files(report, sizes, device, Path(folder))
    for what, why in report.failures.items():
        sys.stdout.write(f"FAILED {what}: {why}\n")
    passed = sum(check.passed for check in report.checks)
    sys.stdout.write(f"{passed} of {len(report.checks)} checks passed, {report.elapsed_s:.0f} s, {device}\n")
    return int(bool(report.failures) or passed < len(report.checks))


def check_files(report: Report, sizes: Sizes, device: torch.device, folder: Path) -> None:
    """All checks, one after the other; a broken one does not end the others."""
    files = Files(folder, sizes)
    run = report.run
    run("GGUF types", partial(gguf_types, report, device))
    for layout in ("fp32", "bf16", "fp8", "fp8 by rows", "int8 by rows", "int8 by blocks", "gguf"):
        run(f"transformer {layout}", partial(transformer, report, files, layout, device))
    run("W8A8", partial(transformer, report, files, "int8 by blocks", device, "int8"))
    for layout in ("bf16", "fp8", "gguf"):
        run(f"text encoder {layout}", partial(text_encoder, report, files, layout, device))
    run("merged LoRA", partial(merged_lora, report, files, device))
    for layout in ("bf16", "fp8", "gguf"):
        for residency in ("phased", "streamed"):
            for with_lora in (False, True):
                work = partial(residencies, report, files, device, layout, residency, with_lora=with_lora)
                run(f"{residency} {layout}{' with LoRA' * with_lora}", work)
    run("VAE", partial(autoencoder, report, files, device))


@dataclass(frozen=True)
class Files:
    """The files, each kind written when it is first asked for."""

    folder: Path
    sizes: Sizes
    _exact: dict[tuple[str, bool], Tensor] = field(default_factory=dict)

    @cached_property
    def transformers(self) -> dict[str, Path]:
        return write_transformers(self.folder, self.sizes.transformer)

    @cached_property
    def text(self) -> dict[str, Path]:
        return write_text_encoders(self.folder, self.sizes.text)

    @cached_property
    def vae(self) -> Path:
        return write_vae(self.folder, self.sizes.vae)

    @cached_property
    def image(self) -> Path:
        return write_image_encoder(self.folder, self.sizes.image)

    @cached_property
    def loras(self) -> tuple[Lora, ...]:
        return (Lora(str(write_lora(self.folder, self.sizes.transformer)), 0.5),)

    def transformer(self, layout: str, dtype: torch.dtype = torch.bfloat16, **more: Any) -> TransformerFile:
        """Opened and checked."""
        return TransformerFile(self.transformers[layout], self.sizes.transformer, dtype, **more)

    def float_model(self, layout: str, patch: Patch = unpatched) -> nn.Module:
        """The file's values in float32 on the CPU."""
        file = self.transformer(layout, torch.float32, keep_quantised=False)
        model = file.build()
        file.fill(model, CPU)
        patch(model, "")
        return model

    def exact_velocity(self, layout: str, *, with_lora: bool = False) -> Tensor:
        """What the file's values give in float32 on the CPU; computed once."""
        key = (layout, with_lora)
        if key not in self._exact:
            model = self.float_model(layout, self.patch(wanted=with_lora))
            self._exact[key] = velocity(model, CPU, torch.float32)
        return self._exact[key]

    def patch(self, *, wanted: bool) -> Patch:
        """Of the LoRA."""
        return (
            LoraSet.open(self.loras, expected_shapes(self.sizes.transformer)).patch if wanted else unpatched
        )


def gguf_types(report: Report, device: torch.device) -> None:
    """Random bytes of every type, not finite factors included, are the same values on both devices."""
    generator = torch.Generator().manual_seed(8)
    for kind, (size_bytes, _, _) in DECODERS.items():
        data = torch.randint(0, 256, (GGUF_BLOCKS * size_bytes,), generator=generator, dtype=torch.uint8)
        for dtype in (torch.float32, torch.bfloat16):
            ours = dequantise_gguf(data.to(device), kind, dtype).cpu()
            same = torch.equal(ours.nan_to_num(), dequantise_gguf(data, kind, dtype).nan_to_num())
            report.check(f"GGUF {kind} as {dtype}", "equal" if same else "differs", same)


def transformer(
    report: Report, files: Files, layout: str, device: torch.device, matmul: str = "dequantise"
) -> None:
    """One layout on both devices: the weights' bits, and the velocity against float32."""
    if layout not in files.transformers:
        report.check(f"transformer {layout}", "skipped, a package is missing", True)
        return
    file = files.transformer(layout, matmul=matmul)
    there, here = file.build(), file.build()
    file.fill(there, device)
    file.fill(here, CPU)
    what = f"transformer {layout}{' W8A8' * (matmul == 'int8')}"
    differing = differing_weights(there, here)
    report.check(f"{what}: weights on both devices", ", ".join(differing[:3]) or "equal", not differing)
    expected = files.exact_velocity(layout)
    ours, theirs = velocity(there, device), velocity(here, CPU)
    compare(report, f"{what}: velocity against float32", ours, theirs, expected)


def text_encoder(report: Report, files: Files, layout: str, device: torch.device) -> None:
    """umT5 in one layout on both devices."""
    if layout not in files.text:
        report.check(f"text encoder {layout}", "skipped, a package is missing", True)
        return
    read = partial(read_umt5, files.text[layout], files.sizes.text)
    there, here, exact = read(device, torch.bfloat16), read(CPU, torch.bfloat16), read(CPU, torch.float32)
    differing = differing_weights(there, here)
    report.check(
        f"text encoder {layout}: weights on both devices", ", ".join(differing[:3]) or "equal", not differing
    )
    expected = encode_ids(exact, token_ids(files.sizes))
    ours, theirs = (encode_ids(model, token_ids(files.sizes)).cpu() for model in (there, here))
    compare(report, f"text encoder {layout}: encoding against float32", ours, theirs, expected)


def merged_lora(report: Report, files: Files, device: torch.device) -> None:
    """Merged on the device, against float32 on the CPU."""
    file = files.transformer("bf16")
    there, here = file.build(), file.build()
    for model, where in ((there, device), (here, CPU)):
        file.fill(model, where)
        files.patch(wanted=True)(model, "")
    theirs = dict(here.named_parameters())
    errors = [apart(ours.cpu(), theirs[name]) for name, ours in there.named_parameters()]
    near = all(error < ONE_STEP for error in errors)
    report.check("merged LoRA: weights on both devices", f"{max(errors):.1e} relative at most", near)
    expected = files.exact_velocity("bf16", with_lora=True)
    plain = files.exact_velocity("bf16")
    error, effect = apart(velocity(there, device), expected), apart(plain, expected)
    figure = f"{error:.1e} relative, the LoRA changes {effect:.1e}"
    report.check("merged LoRA: velocity against float32", figure, error < NEAR < effect)


def residencies(
    report: Report, files: Files, device: torch.device, layout: str, residency: str, *, with_lora: bool
) -> None:
    """Two renders' phases in a row give what the resident model gives; what left has left."""
    if layout not in files.transformers:
        return
    plan = Plan("steadydancer-14b", Sampling(1), files.sizes.picture.size, files.sizes.picture.frames)
    plan = replace(plan, vae_tile=TILE)
    give_back(device)
    before = allocated(device)
    resident = place(plan, files, layout, device, with_lora=with_lora)
    expected = phases(resident, files, device)
    del resident
    give_back(device)
    moving = replace(plan, residency=residency, blocks_resident=1 if residency == "streamed" else None)
    placed = place(moving, files, layout, device, with_lora=with_lora)
    names = ("text", "image", "latents", "velocity", "pictures")
    what = f"{residency} {layout}{' with LoRA' * with_lora}"
    for turn in ("first", "second"):
        got = phases(placed, files, device)
        differing = [n for n, a, b in zip(names, got, expected, strict=True) if not torch.equal(a, b)]
        figure = ", ".join(differing) or "equal"
        report.check(f"{what}, {turn} time: as resident", figure, not differing)
    exact = files.exact_velocity(layout, with_lora=with_lora)
    error = apart(got[3], exact)
    report.check(f"{what}: velocity against float32", f"{error:.1e} relative", error < NEAR)
    if device.type == "cuda":  # the encoders' phase has been entered again; the autoencoder may have stayed
        there = allocated(device) - before
        placed.residency.enter("sample")
        with_it = allocated(device) - before
        placed.residency.enter("encode")
        figure = f"{there} bytes there, {with_it} with it"
        report.check(f"{what}: the transformer has left", figure, allocated(device) - before < with_it / 2)
    del placed
    give_back(device)
    left = allocated(device) - before
    report.check(f"{what}: memory given back", f"{left} bytes left", left <= 0)


def place(plan: Plan, files: Files, layout: str, device: torch.device, *, with_lora: bool) -> Placed:
    """All parts from their files."""
    text = "fp8"

    def tokenise(_text: str, **_settings: Any) -> dict[str, list[int]]:
        return {"input_ids": token_ids(files.sizes).tolist()}

    return make_residency(
        plan,
        device,
        files.transformer(layout),
        Parts(
            vae=lambda: load_wan_vae(files.vae, device, torch.float32, **files.sizes.vae),
            image_encoder=lambda: load_clip_vision(files.image, device, config=files.sizes.image),
            text_encoder=UMT5TextEncoder(
                lambda: read_umt5(files.text[text], files.sizes.text, device, torch.bfloat16), tokenise
            ),
        ),
        patch=files.patch(wanted=with_lora),
    )


@torch.no_grad()
def phases(placed: Placed, files: Files, device: torch.device) -> list[Tensor]:
    """What each part gives, in the order of a render."""
    placed.residency.enter("encode")
    results = [placed.text_encoder.encode("a dancer")]
    video = smooth_video(files.sizes.picture)
    results += [placed.image_encoder.encode(video[0, :, 0]), placed.vae.encode(video)]
    placed.residency.enter("sample")
    results.append(velocity(placed.transformer, device))
    placed.residency.enter("decode")
    results.append(decoded(placed.vae, results[2]))
    placed.residency.enter("encode")
    return [result.cpu() for result in results]


@torch.no_grad()
def autoencoder(report: Report, files: Files, device: torch.device) -> None:
    """Whole and in tiles, on the device against the CPU."""
    video = smooth_video(files.sizes.picture)
    there, here = (
        load_wan_vae(files.vae, where, torch.float32, **files.sizes.vae) for where in (device, CPU)
    )
    for way, wrap in (("whole", _same), ("in tiles", lambda vae: TiledVAE(vae, TILE))):
        ours, theirs = wrap(there), wrap(here)
        latents = theirs.encode(video)
        error = apart(ours.encode(video).cpu(), latents)
        report.check(f"VAE {way}: latents on both devices", f"{error:.1e} relative", error < NEAR)
        pictures = [decoded(vae, latents) for vae in (ours, theirs)]
        noise = psnr(*pictures)
        report.check(f"VAE {way}: pictures on both devices", f"{noise:.1f} dB", noise > PICTURE_DB)


@torch.no_grad()
def velocity(model: nn.Module, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """One forward of random inputs, under autocast unless float32; on the CPU."""
    config: Any = model.config
    conditions = random_conditions(CLIP, config)
    names = ("text", "condition", "y", "ref_x", "ref_c", "clip_x", "clip_c")
    inputs = {name: getattr(conditions, name)[None].to(device) for name in names}
    x = torch.randn((1, *conditions.latent_shape), generator=torch.Generator().manual_seed(9)).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=dtype != torch.float32):
        result: Tensor = model(x, torch.tensor([500.0], device=device), **inputs)
    return result.float().cpu()


@torch.no_grad()
def differing_weights(there: nn.Module, here: nn.Module) -> list[str]:
    """Names of what differs by a bit: parameters, stored data, and what is dequantised of them."""
    theirs = dict(here.named_modules())
    found = []
    for name, module in there.named_modules():
        other = theirs[name]
        pairs = [
            *zip(module.parameters(False), other.parameters(False), strict=True),
            *zip(module.buffers(False), other.buffers(False), strict=True),
        ]
        if isinstance(module, QuantisedLinear) and isinstance(other, QuantisedLinear):
            for dtype in (torch.float32, torch.bfloat16):
                pairs.append((module.dequantise(dtype), other.dequantise(dtype)))
        if not all(torch.equal(_bytes(a), _bytes(b)) for a, b in pairs):
            found.append(name)
    return found


def compare(report: Report, what: str, ours: Tensor, theirs: Tensor, exact: Tensor) -> None:
    """The device's result and the CPU's, both against float32."""
    error, on_cpu = apart(ours, exact), apart(theirs, exact)
    report.check(what, f"{error:.1e}, on the CPU {on_cpu:.1e} relative", error < max(NEAR, 2 * on_cpu))


def token_ids(sizes: Sizes) -> Tensor:
    """A prompt of 20 tokens."""
    return torch.randint(0, sizes.text.vocab_size, (20,), generator=torch.Generator().manual_seed(2))


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Relative distance; a NaN gives NaN, which no limit passes."""
    ours, theirs = ours.double(), theirs.double()
    return float((ours - theirs).norm() / theirs.norm().clamp_min(1e-30))


def allocated(device: torch.device) -> int:
    """Bytes of tensors on a GPU; 0 for the CPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def _same(vae: Any) -> Any:
    return vae


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)


if __name__ == "__main__":
    sys.exit(main())
