"""Encodings from the cache: the bits of computing, never another's, and encoders that are not read at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from tiny_parts import tiny_sizes, write_parts
from tiny_wan import AREA, NEGATIVE, PROMPT, Watcher, pictures, reference

from core.cache import Cache
from core.catalogue.planner import plan as make_plan
from core.engine.conditioning import Conditions, build_conditions
from core.engine.encodings import Encodings, encodings_of, pictures_hash
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.kernels import Kernels
from core.engine.loading.bundle import load_bundle
from core.engine.loading.parts import part_id
from core.engine.memory.on_demand import OnDemand
from core.engine.models.mini import load_mini, write_random_mini
from core.engine.models.umt5 import UMT5TextEncoder
from core.engine.record import version_of
from core.engine.render import render
from core.types import (
    MediaInput,
    Output,
    Overrides,
    Plan,
    PoseSettings,
    Progress,
    RenderEvent,
    RenderRequest,
    Sampling,
    Size,
)

CPU = torch.device("cpu")
KERNELS = Kernels.now(CPU)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A complete tiny model whose parts are read on demand."""
    folder = tmp_path / "parts"
    folder.mkdir()
    return Plan(
        "steadydancer-14b-fp16",
        Sampling(steps=1),
        Size(32, 32),
        5,
        residency="phased",
        parts=dict(write_parts(folder)),
    )


def encode(
    plan: Plan,
    cache: Cache | None,
    watcher: Watcher | None = None,
    prompt: str = PROMPT,
    picture_seed: int = 1,
    kernels: Kernels = KERNELS,
) -> Conditions:
    """Conditions by a bundle that is loaded for them alone."""
    bundle = load_bundle(plan, CPU, Hooks(), tiny_sizes())
    bundle.residency.enter("encode")
    return build_conditions(
        bundle,
        reference(),
        pictures(5, seed=picture_seed),
        pictures(5, seed=2),
        prompt,
        NEGATIVE,
        AREA,
        (watcher or Watcher()).hooks,
        encodings_of(bundle, plan, CPU, kernels, cache),
    )


def same(one: Conditions, other: Conditions) -> bool:
    return all(torch.equal(value, vars(other)[name]) for name, value in vars(one).items())


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which encoders were read from their files."""
    seen: list[str] = []
    get, init = OnDemand.get, UMT5TextEncoder.__init__

    def watched(self: OnDemand[Any]) -> Any:
        if self._loaded is None:
            seen.append(type(self).__name__)
        return get(self)

    def begun(self: UMT5TextEncoder, load: Any, *args: Any) -> None:
        def told() -> Any:
            seen.append("text")
            return load()

        init(self, told, *args)

    monkeypatch.setattr(OnDemand, "get", watched)
    monkeypatch.setattr(UMT5TextEncoder, "__init__", begun)
    return seen


def test_a_hit_has_the_same_bits_and_no_encoder_is_read(plan: Plan, cache: Cache, reads: list[str]) -> None:
    computed = encode(plan, None)
    first, second = Watcher(), Watcher()
    made = encode(plan, cache, first)
    assert {"text", "OnDemandVAE", "OnDemandImageEncoder"} == set(reads)
    reads.clear()
    found = encode(plan, cache, second)
    assert reads == []
    assert same(computed, made)
    assert same(computed, found)
    assert second.progress[-1] == Progress("encode", 6, 6)
    assert first.progress[-1].steps == 6


def test_only_what_is_new_is_encoded(plan: Plan, cache: Cache, reads: list[str]) -> None:
    encode(plan, cache)
    reads.clear()
    encode(plan, cache, prompt="prompt prompt")
    assert reads == ["text"]
    reads.clear()
    moved = encode(plan, cache, picture_seed=9)
    assert reads == ["OnDemandImageEncoder", "OnDemandVAE"]  # the first pose's features and the pose video
    assert same(moved, encode(plan, None, picture_seed=9))


def test_other_weights_precision_kernels_or_sizes_are_other_encodings(
    plan: Plan, cache: Cache, reads: list[str]
) -> None:
    encode(plan, cache)
    for other in (replace(plan, vae_tile=128), replace(plan, vae_dtype="float16")):
        reads.clear()
        encode(other, cache)
        assert reads == ["OnDemandVAE"]
    reads.clear()
    encode(replace(plan, text_on="cpu"), cache)
    assert reads == ["text"]
    reads.clear()
    encode(plan, cache, kernels=replace(KERNELS, threads=KERNELS.threads + 1))
    assert len(reads) == 3
    reads.clear()
    encode(plan, cache, kernels=replace(KERNELS, lasting=KERNELS.lasting | {"recipe": "the transformer's"}))
    assert reads == []
    vae = Path(plan.parts["vae"])
    old = part_id(vae)
    vae.write_bytes(vae.read_bytes())
    assert part_id(vae) != old
    reads.clear()
    encode(plan, cache)
    assert reads == ["OnDemandVAE"]


@pytest.mark.parametrize(
    "entry", [b"", b"junk", save({"encoding": torch.zeros(2, dtype=torch.int8)}), save({"x": torch.ones(1)})]
)
def test_a_damaged_entry_is_made_again(cache: Cache, entry: bytes) -> None:
    encodings = Encodings(cache, {"vae": "weights"})
    value = torch.ones(3)
    keys: list[str] = []

    class Watched(Cache):
        def get(self, key: str) -> bytes | None:
            keys.append(key)
            return super().get(key)

    watched = Encodings(Watched(cache._root), encodings.encoders)
    watched.get("vae", lambda: ("pictures",), lambda: value)
    cache.put(keys[0], entry)
    assert encodings.get("vae", lambda: ("pictures",), lambda: value)[1] is False
    found, hit = encodings.get("vae", lambda: ("pictures",), lambda: torch.zeros(3))
    assert hit
    assert torch.equal(found, value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_a_failing_gpu_made_is_not_kept(cache: Cache, bad: float) -> None:
    encodings = Encodings(cache, {"vae": "weights"})
    made, _ = encodings.get("vae", lambda: ("pictures",), lambda: torch.tensor([1.0, bad]))
    assert not torch.isfinite(made).all()
    found, hit = encodings.get("vae", lambda: ("pictures",), lambda: torch.ones(2))
    assert not hit
    assert torch.equal(found, torch.ones(2))


@pytest.mark.parametrize("library", ["transformers", "tokenizers", "ftfy", "pillow"])
def test_another_version_of_a_library_gives_other_encodings(
    plan: Plan, cache: Cache, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    bundle = load_bundle(plan, CPU, Hooks(), tiny_sizes())
    before = encodings_of(bundle, plan, CPU, KERNELS, cache).encoders
    assert version_of(library)
    monkeypatch.setattr(
        "core.engine.encodings.version_of", lambda name: "0.0" if name == library else version_of(name)
    )
    after = encodings_of(bundle, plan, CPU, KERNELS, cache).encoders
    assert before.keys() == after.keys()
    assert all(before[part] != after[part] for part in before)


def test_nothing_is_hashed_or_kept_for_parts_whose_weights_are_unknown(cache: Cache) -> None:
    def refuse() -> tuple[str, ...]:
        raise AssertionError("Nobody asked.")

    for encodings in (Encodings(None, {"vae": "weights"}), Encodings(cache, {})):
        assert encodings.get("vae", refuse, lambda: torch.ones(1)) == (torch.ones(1), False)
    assert not cache._root.exists()


def test_pictures_of_another_shape_are_other_pictures() -> None:
    flat = np.zeros((2, 4, 6, 3), np.uint8)
    assert pictures_hash(flat) != pictures_hash(flat.reshape(4, 2, 6, 3))
    assert pictures_hash(flat) == pictures_hash(flat[:, ::-1])


def test_the_embedded_model_is_told_apart_by_its_content(tmp_path: Path) -> None:
    write_random_mini(tmp_path / "one", 1)
    write_random_mini(tmp_path / "other", 2)
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    one, copy, other = (load_mini(tmp_path / name).part_ids for name in ("one", "copy", "other"))
    assert set(one) == {"transformer", "vae"}
    assert one == copy
    assert all(one[part] != other[part] for part in one)


@pytest.mark.usefixtures("tiny_mini")
def test_a_second_render_is_the_same_file_with_its_encodings_from_the_cache(
    reference: Path, motion: Path, out: Path, cache: Cache
) -> None:
    request = RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(motion)),
        Output(str(out / "result.mp4")),
        overrides=Overrides(steps=1),
        device="cpu",
        pose=PoseSettings(align="off"),
    )
    encoded: list[int] = []

    def load(made: Plan, device: torch.device, hooks: Hooks) -> ModelBundle:
        bundle = load_bundle(made, device, hooks)
        encode_video = bundle.vae.encode

        def watched(video: torch.Tensor, check: Any) -> torch.Tensor:
            encoded.append(video.shape[2])
            return encode_video(video, check)

        bundle.vae.encode = watched  # type: ignore[method-assign]
        return bundle

    files: list[bytes] = []
    phases: list[set[str]] = []
    for kept in (None, cache, cache):
        events: list[RenderEvent] = []
        render(request, make_plan(request, 9), load, Hooks(), events.append, None, kept)
        files.append(Path(request.output.path).read_bytes())
        phases.append({event.phase for event in events if isinstance(event, Progress)})
    assert encoded == [5, 5, 5, 5]
    assert files[0] == files[1] == files[2]
    assert phases[0] == phases[1] == phases[2]
