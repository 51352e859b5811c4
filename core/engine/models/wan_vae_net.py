"""The network of Wan 2.1's video autoencoder, made to work through a video piece by piece.

Structure after ``wan/modules/vae.py`` of Wan 2.1 (spec 5); the modules have diffusers' names. Every causal
convolution sees a frame and the two before it; what came before a piece stands in a ``Past``. The first piece
is one frame; it passes the layers that halve or double the rate unchanged.

Tensors are [B, C, T, H, W]. On a GPU their channels lie side by side (``layout_of``), as tensor cores want
them: then a video is a run of frames in memory, the input of a convolution is one buffer that begins with the
past, and each norm writes into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.engine.models.wan_vae_attention import attend_pixels
from core.engine.ops.pixel_norm import pixel_norm

Past = dict[nn.Module, Tensor]
"""By layer, the frames of its input that its next piece needs."""
PICTURE_CHANNELS: Final = 3
BEFORE: Final = 2
"""Frames that a causal convolution looks back."""
_ALIGNED: Final = 8
"""Channels that convolutions on tensor cores come in."""
_TF32_CAPABILITY: Final = (8, 0)


@dataclass(frozen=True)
class WanVAEConfig:
    """Sizes, named as in diffusers' AutoencoderKLWan, and the latents' statistics by channel."""

    base_dim: int = 96
    z_dim: int = 16
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    temperal_downsample: tuple[bool, ...] = (False, True, True)
    latents_mean: tuple[float, ...] = ()
    latents_std: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> WanVAEConfig:
        """From keyword arguments, which may be lists."""
        frozen: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**frozen)


class Step(NamedTuple):
    """One layer of the encoder with its reach back in time.

    Attributes:
        run: a piece and the past -> a piece.
        reach: frames of its input before the first that its first frame of output sees.
        stride: frames of input for one of output.
    """

    run: Callable[[Tensor, Past], Tensor]
    reach: int = 0
    stride: int = 1


def layout_of(x: Tensor) -> torch.memory_format:
    """How tensors of this dtype lie on their device: channels last where tensor cores multiply.

    In float32 without TF32 that layout took five times as long on an H200.
    """
    if x.device.type != "cuda":
        return torch.contiguous_format
    tf32 = torch.backends.cudnn.allow_tf32 and torch.cuda.get_device_capability(x.device) >= _TF32_CAPABILITY
    return torch.channels_last_3d if tf32 or x.dtype != torch.float32 else torch.contiguous_format


class CausalConv(nn.Conv3d):
    """A convolution of kernel 3 in time, whose input begins with the frames of the past."""

    def __init__(self, inputs: int, outputs: int, side: int = 3) -> None:
        super().__init__(inputs, outputs, (BEFORE + 1, side, side), padding=(0, side // 2, side // 2))

    def room(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, 2 + T, H, W] for T frames like ``x``, with the past in front; the rest is to be filled."""
        batch, channels, frames, height, width = x.shape
        shape = (batch, self.weight.shape[1], BEFORE + frames, height, width)
        layout = layout_of(x)
        room = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
        if channels < shape[1]:
            room[:, channels:] = 0
        before = past.get(self)
        if before is None:
            room[:, :, :BEFORE] = 0
        else:
            room[:, :, :BEFORE] = before
        return room

    def run(self, room: Tensor, past: Past) -> Tensor:
        """The filled room -> [B, C', T, H, W]; its last frames are the past of the next piece."""
        before = past.get(self)
        if before is None:
            past[self] = room[:, :, -BEFORE:].clone()
        else:
            before.copy_(room[:, :, -BEFORE:])
        y: Tensor = self(room)
        return y

    def after(self, x: Tensor, past: Past) -> Tensor:
        """``run`` on a copy of ``x``."""
        room = self.room(x, past)
        room[:, : x.shape[1], BEFORE:] = x
        return self.run(room, past)


class PixelNorm(nn.Module):
    """RMS norm over channels; ``axes`` is how many axes of one its weight has behind them."""

    def __init__(self, channels: int, axes: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * axes))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> same shape, without activation."""
        return pixel_norm(x, self.gamma, silu=False)

    def into(self, conv: CausalConv, x: Tensor, past: Past) -> Tensor:
        """Norm, SiLU, then ``conv``."""
        room = conv.room(x, past)
        pixel_norm(x, self.gamma, silu=True, out=room[:, :, BEFORE:])
        return conv.run(room, past)


class ResidualBlock(nn.Module):
    """Two normed convolutions beside an identity or a 1x1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = PixelNorm(inputs), CausalConv(inputs, outputs)
        self.norm2, self.conv2 = PixelNorm(outputs), CausalConv(outputs, outputs)
        self.conv_shortcut = nn.Conv3d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T, H, W] -> [B, C', T, H, W]."""
        hidden = self.norm1.into(self.conv1, x, past)
        hidden = self.norm2.into(self.conv2, hidden, past)
        return hidden.add_(self.conv_shortcut(x))


class PixelAttention(nn.Module):
    """Self-attention of one head over the pixels of each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = PixelNorm(channels, axes=2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> same shape."""
        pictures = as_pictures(self.norm(x))
        qkv = self.to_qkv(pictures).flatten(2).transpose(1, 2)
        mixed = attend_pixels(*qkv.chunk(3, dim=2)).transpose(1, 2).reshape(pictures.shape)
        return x + as_video(self.proj(mixed), len(x))


class Downsample(nn.Module):
    """Half the size, and half the rate where ``in_time``."""

    def __init__(self, channels: int, in_time: bool) -> None:
        super().__init__()
        # The name is a file's: entry 0 is where diffusers pads.
        self.resample = nn.Sequential(nn.Identity(), nn.Conv2d(channels, channels, 3, stride=2, padding=2))
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if in_time else None

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T, H, W] -> [B, C, T or T/2, H/2, W/2]."""
        # The network pads one row below and one column to the right. Padding two all around and leaving out
        # the first row and column gives the same without a padded copy of the input.
        halved = as_video(self.resample(as_pictures(x))[:, :, 1:, 1:], len(x))
        halved = halved.contiguous(memory_format=layout_of(x))
        if self.time_conv is None:
            return halved
        before = past.get(self)
        past[self] = halved[:, :, -1:].clone()
        if before is None:
            return halved
        y: Tensor = self.time_conv(torch.cat([before, halved], dim=2))
        return y


class Upsample(nn.Module):
    """Twice the size with half the channels, and twice the rate where ``in_time``."""

    def __init__(self, channels: int, in_time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.Identity(), nn.Conv2d(channels, channels // 2, 3, padding=1))
        self.time_conv = CausalConv(channels, 2 * channels, side=1) if in_time else None

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T, H, W] -> [B, C/2, T or 2T, 2H, 2W]; a clip's first frame stays one frame.

        The frames before the second piece are zeros for the convolution in time, not the first frame.
        """
        clips, channels = x.shape[:2]
        if self.time_conv is None or self not in past:
            past[self] = x.new_empty(0)  # only says that the clip has begun
            frames = x.transpose(1, 2)[:, :, None]  # [B, T, 1, C, H, W]
        else:
            spread = self.time_conv.after(x, past)
            frames = spread.reshape(clips, 2, channels, *spread.shape[2:]).permute(0, 3, 1, 2, 4, 5)
        return as_video(self.resample(doubled(frames)), clips)


def doubled(frames: Tensor) -> Tensor:
    """[B, T, S, C, H, W] in any layout -> pictures [B*T*S, C, 2H, 2W], in one copy."""
    *_, channels, height, width = frames.shape
    if layout_of(frames) == torch.contiguous_format:
        wide = frames[..., :, None, :, None].expand(*(-1,) * 4, -1, 2, -1, 2)
        return wide.reshape(-1, channels, 2 * height, 2 * width)
    last = frames.movedim(3, 5)  # channels side by side
    wide = last[..., :, None, :, None, :].expand(*(-1,) * 3, -1, 2, -1, 2, -1)
    return wide.reshape(-1, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


class Middle(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResidualBlock(channels, channels) for _ in range(2))
        self.attentions = nn.ModuleList([PixelAttention(channels)])

    def steps(self) -> list[Step]:
        """In order."""
        first, last = self.resnets
        mix = Step(lambda x, _: self.attentions[0](x))
        return [Step(first, 2 * BEFORE), mix, Step(last, 2 * BEFORE)]


class Encoder(nn.Module):
    """Pictures -> the features of twice the latent channels."""

    def __init__(self, config: WanVAEConfig) -> None:
        super().__init__()
        widths = [config.base_dim * times for times in (1, *config.dim_mult)]
        self.conv_in = CausalConv(PICTURE_CHANNELS, widths[0])
        self.down_blocks = nn.ModuleList()
        for stage in range(len(config.dim_mult)):
            inputs, outputs = widths[stage : stage + 2]
            for block in range(config.num_res_blocks):
                self.down_blocks.append(ResidualBlock(outputs if block else inputs, outputs))
            if stage < len(config.dim_mult) - 1:
                self.down_blocks.append(Downsample(outputs, config.temperal_downsample[stage]))
        self.mid_block = Middle(widths[-1])
        self.norm_out = PixelNorm(widths[-1])
        self.conv_out = CausalConv(widths[-1], 2 * config.z_dim)

    def steps(self) -> list[Step]:
        """All layers in order."""
        down = [Step(layer, *_reach(layer)) for layer in self.down_blocks]
        head = Step(lambda x, past: self.norm_out.into(self.conv_out, x, past), BEFORE)
        return [Step(self.conv_in.after, BEFORE), *down, *self.mid_block.steps(), head]

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, 3, 1 or 4n, 8h, 8w] -> [B, 32, 1 or n, h, w]."""
        for step in self.steps():
            x = step.run(x, past)
        return x


def _reach(layer: nn.Module) -> tuple[int, int]:
    """``reach`` and ``stride`` of a layer of the encoder."""
    if isinstance(layer, Downsample):
        return (0, 1) if layer.time_conv is None else (BEFORE, 2)
    return 2 * BEFORE, 1


class UpBlock(nn.Module):
    """Residual blocks, and a doubling but for the last."""

    def __init__(self, inputs: int, outputs: int, blocks: int, upsampler: Upsample | None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            ResidualBlock(outputs if block else inputs, outputs) for block in range(blocks)
        )
        self.upsamplers = nn.ModuleList([] if upsampler is None else [upsampler])

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """A piece -> a piece."""
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x, past)
        return x


class Decoder(nn.Module):
    """Latents -> pictures."""

    def __init__(self, config: WanVAEConfig) -> None:
        super().__init__()
        widths = [config.base_dim * times for times in (config.dim_mult[-1], *reversed(config.dim_mult))]
        in_time = tuple(reversed(config.temperal_downsample))
        self.conv_in = CausalConv(config.z_dim, widths[0])
        self.mid_block = Middle(widths[0])
        self.up_blocks = nn.ModuleList()
        for stage in range(len(config.dim_mult)):
            inputs, outputs = widths[stage : stage + 2]
            is_last = stage == len(config.dim_mult) - 1
            upsampler = None if is_last else Upsample(outputs, in_time[stage])
            blocks = config.num_res_blocks + 1
            self.up_blocks.append(UpBlock(inputs // 2 if stage else inputs, outputs, blocks, upsampler))
        self.norm_out = PixelNorm(widths[-1])
        self.conv_out = CausalConv(widths[-1], PICTURE_CHANNELS)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, 16, 1 or n, h, w] -> [B, 3, 1 or 4n, 8h, 8w]; the first piece is one latent frame."""
        x = self.conv_in.after(x, past)
        for step in self.mid_block.steps():
            x = step.run(x, past)
        for block in self.up_blocks:
            x = block(x, past)
        return self.norm_out.into(self.conv_out, x, past)[:, :PICTURE_CHANNELS]


class WanVAENet(nn.Module):
    """Encoder and decoder with the products between them and the latents."""

    def __init__(self, config: WanVAEConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv3d(2 * config.z_dim, 2 * config.z_dim, 1)
        self.post_quant_conv = nn.Conv3d(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)

    def settle(self) -> None:
        """Lay the weights out for the device that they are on; after this the state dict is of no file."""
        weight = self.quant_conv.weight
        layout = layout_of(weight)
        if layout == torch.contiguous_format:
            return
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                module.weight.data = module.weight.data.contiguous(memory_format=layout)
            elif isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        if weight.dtype != torch.float32:
            _widen(self.encoder.conv_in, layout, inputs=_ALIGNED - PICTURE_CHANNELS)
            _widen(self.decoder.conv_out, layout, outputs=_ALIGNED - PICTURE_CHANNELS)


def _widen(conv: CausalConv, layout: torch.memory_format, inputs: int = 0, outputs: int = 0) -> None:
    """Add channels of zeros, with which tensor cores compute the same."""
    more = [0, 0, 0, 0, 0, 0, 0, inputs, 0, outputs]
    conv.weight.data = functional.pad(conv.weight.data, more).contiguous(memory_format=layout)
    assert conv.bias is not None
    conv.bias.data = functional.pad(conv.bias.data, [0, outputs])


def as_pictures(video: Tensor) -> Tensor:
    """[B, C, T, H, W] -> [B*T, C, H, W]; a view where channels lie side by side."""
    return video.transpose(1, 2).flatten(0, 1)


def as_video(pictures: Tensor, clips: int) -> Tensor:
    """[B*T, C, H, W] -> [B, C, T, H, W], a view."""
    return pictures.reshape(clips, -1, *pictures.shape[1:]).transpose(1, 2)
