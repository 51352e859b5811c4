"""Is the fast way the plain way? Checked before anything is timed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.engine.linear.quantised import QuantisedLinear
from core.engine.memory.transformer_part import TransformerPart
from core.engine.models.config import TransformerConfig
from core.evaluation.memory_peaks.forwards import Clip, random_conditions
from core.evaluation.memory_peaks.meter import Report
from core.evaluation.memory_peaks.weights import KINDS, RandomTransformer, quantised, stored

# bfloat16 has 8 bits of precision; W8A8 adds the rounding of the activations to 8 bits.
TOLERANCE = {"int8 W8A8": 3e-2}
PLAIN_TOLERANCE = 8e-3
FORWARDS = 3


def streamed_equals_resident(report: Report, config: TransformerConfig, device: torch.device) -> None:
    """Several forwards in a row, with none, one and most of the blocks resident."""
    clip = Clip(256, 256, 9)
    for kind in ("bfloat16", "fp8", "q4_k"):
        expected = _forwards(config, kind, None, clip, device)
        for resident in (0, 1, config.num_layers - 1):
            got = _forwards(config, kind, resident, clip, device)
            same = all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
            worst = max((a - b).abs().max().item() for a, b in zip(expected, got, strict=True))
            report.check(f"small {kind}, {resident} blocks stay: equals resident", f"{worst:g} at most", same)


def quantised_equals_float(report: Report, device: torch.device) -> None:
    """Each kind of layer on the device in bfloat16 against its own float weight in float64 on the CPU."""
    x = torch.randn((300, 512), generator=torch.Generator().manual_seed(11))
    for kind in KINDS[1:]:
        layer = quantised(nn.Linear(512, 256), kind)
        layer.bias = nn.Parameter(torch.randn(256).to(device, torch.bfloat16), requires_grad=False)
        for name, buffer in list(layer._buffers.items()):
            if buffer is not None:
                generator = torch.Generator(device).manual_seed(5)
                layer._buffers[name] = stored(layer, name, buffer, generator)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            got = layer(x.to(device)).double().cpu()
        weight = layer.dequantise(torch.float32).cpu()
        error = _relative(got, x.double() @ weight.double().T + _bias(layer))
        limit = TOLERANCE.get(kind, PLAIN_TOLERANCE)
        report.check(f"{kind} layer against float64", f"{error:.1e} relative", error < limit)
        same = torch.equal(weight, layer.cpu().dequantise(torch.float32))
        report.check(f"{kind} weight on both devices", "equal" if same else "differs", same)


def _bias(layer: QuantisedLinear) -> Tensor:
    assert layer.bias is not None
    return layer.bias.detach().double().cpu()


def _relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@torch.no_grad()
def _forwards(
    config: TransformerConfig, kind: str, resident: int | None, clip: Clip, device: torch.device
) -> list[Tensor]:
    part = TransformerPart(RandomTransformer(config, kind), device, blocks_resident=resident)
    part.bring()
    conditions = random_conditions(clip, config)
    names = ("text", "condition", "y", "ref_x", "ref_c", "clip_x", "clip_c")
    inputs = {name: getattr(conditions, name)[None].to(device) for name in names}
    results = []
    for step in range(FORWARDS):
        x = torch.full((1, *conditions.latent_shape), 0.1 * step + 0.1, device=device)
        with torch.autocast(device.type, torch.bfloat16):
            velocity: Tensor = part.module(x, torch.tensor([500.0], device=device), **inputs)
        results.append(velocity.cpu())
    part.release()
    return results
