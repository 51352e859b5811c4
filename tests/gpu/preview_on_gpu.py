"""What live previews take on a GPU: ``python -m tests.gpu.preview_on_gpu``.

The tiny decoder with random weights in the published layout, at half size, on latents of several clips; for
each the time of a whole preview and the memory beside the latents. Needs an NVIDIA GPU; prints a row a case.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file

from core.engine.interfaces import never
from core.engine.pipeline import to_uint8
from core.engine.preview import small
from core.engine.preview_decoders import LatentColours, PreviewDecoder, TinyPreview, needed_bytes
from core.engine.preview_file import write_loop
from core.engine.tiny_decoder import TinyDecoder

CLIPS = ((480, 272, 33), (832, 480, 81), (1024, 576, 81), (1280, 720, 81), (576, 1024, 49))


def random_file(folder: Path) -> Path:
    """The decoder's tensors in float16."""
    torch.manual_seed(1)
    path = folder / "taew2_1.safetensors"
    save_file({name: tensor.half() for name, tensor in TinyDecoder().state_dict().items()}, path)
    return path


def preview(decoder: PreviewDecoder, latents: torch.Tensor, path: Path) -> tuple[float, float, int]:
    """Seconds of decoding, seconds of writing, and the most bytes beside the latents."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    began_s = time.perf_counter()
    chunks = decoder.decode(latents, never)
    pictures = [picture for chunk in chunks for picture in to_uint8(small(chunk).transpose(0, 1))]
    decoded_s = time.perf_counter() - began_s
    write_loop(path, pictures, decoder.fps)
    return decoded_s, time.perf_counter() - began_s - decoded_s, torch.cuda.max_memory_allocated() - held


def main() -> None:
    """Print the table."""
    print(torch.cuda.get_device_name(), torch.__version__)
    with TemporaryDirectory() as name, torch.no_grad():
        folder = Path(name)
        tiny, colours = TinyPreview(random_file(folder)), LatentColours()
        for width, height, frames in CLIPS:
            latents = torch.randn(1, 16, (frames + 3) // 4, height // 8, width // 8, device="cuda")
            tiny._loaded(latents.device)
            for title, decoder in (("tiny", tiny), ("colours", colours)):
                path = folder / "preview.webp"
                rows = [preview(decoder, latents, path) for _ in range(6)]
                first, rest = rows[0], rows[1:]
                decode_s, write_s, _ = (statistics.median(column) for column in zip(*rest, strict=True))
                print(
                    f"{title:8} {width}x{height}x{frames}: first {first[0]:.3f} s, decode {decode_s:.3f} s, "
                    f"write {write_s:.3f} s, {path.stat().st_size >> 10} KiB; "
                    f"memory {max(row[2] for row in rows) / 2**20:.0f} MiB, "
                    f"reckoned {needed_bytes(latents) / 2**20:.0f} MiB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
