"""A warm engine's renders are those of a cold one, whatever it rendered or failed to render before."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.catalogue.load import CATALOGUE_VARIABLE
from core.catalogue.planner import plan as planned
from core.engine.interfaces import Hooks, ModelBundle, never
from core.engine.loading.bundle import load_bundle
from core.engine.models.mini import write_random_mini
from core.engine.warm import BundleKey, KeptBundle, KeptPoseEngine, WarmEngine, let_go
from core.errors import BadImage, BadSetting, Cancelled, EngineError, Paused
from core.pose.extract.models import PoseModels
from core.types import (
    Lora,
    MediaInput,
    Output,
    Overrides,
    Phase,
    Plan,
    PoseSettings,
    Progress,
    RenderEvent,
    RenderRequest,
    Sampling,
    Size,
)
from tests.fakes.tiny_models import MODELS, ROLES, WIDE_LORA, TinyModels

CPU = torch.device("cpu")
MODEL, OTHER_MODEL = "steadydancer-14b-fp8", "steadydancer-14b-q8_0"
MINI = Plan("mini", Sampling(1), Size(64, 64), 5)
STOPS: tuple[Phase, ...] = ("load", "encode", "sample", "decode")


@pytest.fixture(autouse=True)
def torch_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine has its process to itself and sets torch up for good."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(strict)


class Renders:
    """Renders into a folder of their own each and gives the files' bytes."""

    def __init__(self, request: RenderRequest, out: Path) -> None:
        self.request, self._out, self._count = request, out, 0

    def __call__(
        self,
        engine: WarmEngine,
        plan: Plan,
        request: RenderRequest | None = None,
        check: Callable[[], None] = never,
        emit: Callable[[RenderEvent], None] = lambda _: None,
    ) -> bytes:
        self._count += 1
        path = self._out / str(self._count) / "result.mp4"
        path.parent.mkdir()
        engine.render(
            replace(request or self.request, output=Output(str(path), embed_settings=False)),
            plan,
            None,
            check,
            emit,
        )
        return path.read_bytes()


@pytest.fixture
def renders(reference: Path, motion: Path, out: Path) -> Renders:
    request = RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(motion)),
        Output(""),
        prompt="a dancer",
        negative_prompt="still",
        device="cpu",
        seed=4,
        pose=PoseSettings(align="off"),
    )
    return Renders(request, out)


class Counting:
    """The real loader, and what it loaded."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.bundles: list[weakref.ref[ModelBundle]] = []

    def __call__(self, plan: Plan, device: torch.device, hooks: Hooks) -> ModelBundle:
        assert not [one for one in self.bundles if one() is not None], "two models at once"
        loaded = load_bundle(plan, device, hooks)
        self.plans.append(plan)
        self.bundles.append(weakref.ref(loaded))
        return loaded


@pytest.fixture
def plan_of(tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """A plan for a tiny 14B model whose files are on disk."""
    monkeypatch.setenv(CATALOGUE_VARIABLE, str(tiny_models.catalogue))

    def make(residency: str, model: str = MODEL, **changes: object) -> Plan:
        parts = {role: str(tiny_models.path(asset)) for role, asset in zip(ROLES, MODELS[model], strict=True)}
        plan = Plan(
            model,
            Sampling(2),
            Size(32, 32),
            1,
            weights=model.removeprefix("steadydancer-14b-"),
            matmul="bfloat16",
            residency=residency,
            blocks_resident=1 if residency == "streamed" else None,
            parts=parts | {"tokenizer": str(tiny_models.path("tokenizer"))},
            loras=(Lora(str(tiny_models.path(WIDE_LORA)), 0.7),),
            device="cpu",
        )
        return replace(plan, **changes)  # type: ignore[arg-type]

    return make


def stop_in(phase: Phase, error: Exception) -> tuple[Callable[[], None], Callable[[RenderEvent], None]]:
    """A check that raises in a phase, and the listener that tells it when."""
    reached: list[Phase] = []

    def check() -> None:
        if reached:
            raise error

    def listen(event: RenderEvent) -> None:
        if isinstance(event, Progress) and event.phase == phase:
            reached.append(phase)

    return check, listen


@pytest.fixture(scope="module")
def cold_bits() -> dict[str, bytes]:
    """By model, what an engine makes that never rendered before; filled by the first test that asks."""
    return {}


@pytest.fixture
def cold_of(
    renders: Renders, plan_of: Callable[..., Plan], cold_bits: dict[str, bytes]
) -> Callable[[str], bytes]:
    """What a cold engine makes of a model; where its parts stand does not matter."""

    def bits(model: str) -> bytes:
        if model not in cold_bits:
            cold_bits[model] = renders(WarmEngine(), plan_of("resident", model))
        return cold_bits[model]

    return bits


@pytest.mark.parametrize("residency", ["resident", "phased", "streamed"])
def test_a_warm_14b_gives_the_bits_of_a_cold_one(
    renders: Renders, plan_of: Callable[..., Plan], cold_of: Callable[[str], bytes], residency: str
) -> None:
    plan = plan_of(residency)
    other_size = replace(plan, size=Size(48, 32), sampling=Sampling(1, guidance_scale=2.0))
    cold = cold_of(MODEL)
    load = Counting()
    engine = WarmEngine(load)
    renders(engine, other_size)
    assert renders(engine, plan) == cold
    assert len(load.plans) == 1
    check, listen = stop_in("sample", Paused())
    with pytest.raises(Paused):
        renders(engine, plan, check=check, emit=listen)
    assert renders(engine, plan) == cold
    assert len(load.plans) == 2


def test_another_model_takes_the_place_of_the_last_and_leaves_no_trace(
    renders: Renders, plan_of: Callable[..., Plan], cold_of: Callable[[str], bytes]
) -> None:
    plans = [plan_of("streamed"), plan_of("resident", OTHER_MODEL), plan_of("resident")]
    cold = [cold_of(OTHER_MODEL), cold_of(MODEL)]
    load = Counting()
    engine = WarmEngine(load)
    renders(engine, plans[0])
    assert [renders(engine, plan) for plan in plans[1:]] == cold
    assert load.plans == plans


@pytest.mark.usefixtures("tiny_mini")
@pytest.mark.parametrize("phase", STOPS)
def test_after_a_cancel_a_model_in_use_is_loaded_anew(renders: Renders, phase: Phase) -> None:
    request = replace(renders.request, overrides=Overrides(steps=2))
    plan = planned(request, 9)
    load = Counting()
    engine = WarmEngine(load)
    cold = renders(engine, plan)
    check, listen = stop_in(phase, Cancelled())
    with pytest.raises(Cancelled):
        renders(engine, plan, check=check, emit=listen)
    assert renders(engine, plan) == cold
    assert len(load.plans) == (1 if phase == "load" else 2)


@pytest.mark.usefixtures("tiny_mini")
def test_only_an_error_after_the_model_was_asked_for_drops_it(renders: Renders, tmp_path: Path) -> None:
    load = Counting()
    engine = WarmEngine(load)
    cold = renders(engine, MINI)
    with pytest.raises(BadSetting):
        renders(engine, MINI, replace(renders.request, device="cuda:GPU-none"))
    assert renders(engine, MINI) == cold
    assert len(load.plans) == 1
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(BadImage):
        renders(engine, MINI, replace(renders.request, reference=MediaInput(str(tmp_path / "broken.png"))))
    assert renders(engine, MINI) == cold
    assert len(load.plans) == 2


@pytest.mark.usefixtures("tiny_mini")
def test_a_failed_render_holds_no_model_while_its_error_is_looked_at(renders: Renders) -> None:
    load = Counting()
    engine = WarmEngine(load)

    def listen(event: RenderEvent) -> None:
        if isinstance(event, Progress) and event.phase == "decode":
            raise EngineError("Broken.") from MemoryError()

    with pytest.raises(EngineError) as caught:
        renders(engine, MINI, emit=listen)
    gc.collect()
    assert load.bundles[0]() is None
    assert caught.traceback


@pytest.mark.usefixtures("tiny_mini")
def test_an_engine_whose_gpu_failed_is_unfit_and_its_error_is_told(
    renders: Renders, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = WarmEngine()
    check, listen = stop_in("sample", RuntimeError("CUDA error"))
    with pytest.raises(RuntimeError, match="CUDA error"):
        renders(engine, MINI, check=check, emit=listen)
    assert engine.is_fit
    monkeypatch.setattr("core.engine.warm.computes", lambda _: False)
    monkeypatch.setattr("core.engine.warm.give_back", lambda _: pytest.fail("the GPU was used again"))
    with pytest.raises(RuntimeError, match="CUDA error"):
        renders(engine, MINI, check=check, emit=listen)
    assert not engine.is_fit


@pytest.mark.usefixtures("tiny_mini")
def test_unloading_drops_the_model_and_the_next_render_loads_it(renders: Renders) -> None:
    load = Counting()
    engine = WarmEngine(load)
    cold = renders(engine, MINI)
    engine.unload()
    assert load.bundles[0]() is None
    assert renders(engine, MINI) == cold
    assert len(load.plans) == 2


def test_a_model_whose_files_changed_is_loaded_anew(
    renders: Renders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mini"
    monkeypatch.setenv("PIROUETTE_MINI_DIR", str(folder))
    write_random_mini(folder, seed=1)
    load = Counting()
    engine = WarmEngine(load)
    first = renders(engine, MINI)
    write_random_mini(folder, seed=2)
    second = renders(engine, MINI)
    assert second != first
    assert renders(WarmEngine(), MINI) == second
    assert len(load.plans) == 2


def test_what_loading_depends_on_is_in_the_key_and_nothing_else(
    plan_of: Callable[..., Plan], tiny_models: TinyModels, tmp_path: Path
) -> None:
    plan = plan_of("phased")
    key = BundleKey.of(plan, CPU)
    same = replace(
        plan, sampling=Sampling(9), size=Size(8, 8), frames=9, time_s=1.0, ram_peak_bytes=1,
        vram_peak_bytes=1, reasons=("Because.",), fits=False, lighter_steps=("less",), device="auto",
        chunking="tiles", caching="teacache", cache_threshold=0.1, decoder="tiny",
    )  # fmt: skip
    assert BundleKey.of(same, CPU) == key
    other_lora = tmp_path / "other.safetensors"
    other_lora.write_bytes(tiny_models.path(WIDE_LORA).read_bytes())
    others = [
        plan_of("streamed"),
        plan_of("resident"),
        plan_of("phased", OTHER_MODEL),
        *(
            plan_of("phased", **change)
            for change in (
                {"weights": "bfloat16"}, {"matmul": "float32"}, {"attention": "other"},
                {"blocks_resident": 2}, {"loras": ()}, {"loras": (replace(plan.loras[0], strength=0.8),)},
                {"loras": (replace(plan.loras[0], path=str(other_lora)),)}, {"vae_dtype": "bfloat16"},
                {"vae_tile": 128}, {"text_on": "cpu"}, {"parts": plan.parts | {"vae": str(other_lora)}},
            )
        ),
    ]  # fmt: skip
    assert all(BundleKey.of(other, CPU) != key for other in others)
    assert BundleKey.of(plan, torch.device("meta")) != key
    changed = replace(plan, loras=(replace(plan.loras[0], path=str(other_lora)),))
    before = BundleKey.of(changed, CPU)
    os.utime(other_lora, ns=(1, 1))
    assert BundleKey.of(changed, CPU) != before


def test_the_hooks_of_the_latest_render_are_reached() -> None:
    seen: list[str] = []
    bound: list[Hooks] = []

    def load(plan: Plan, _device: torch.device, hooks: Hooks) -> ModelBundle:
        bound.append(hooks)
        return load_bundle(plan, CPU, hooks)

    kept = KeptBundle(load)
    for name in ("first", "second"):
        kept.load(MINI, CPU, Hooks(lambda name=name: seen.append(name)))  # type: ignore[misc]
    assert len(bound) == 1
    seen.clear()
    bound[0].check()
    kept.rest()
    bound[0].check()
    assert seen == ["second"]


def test_the_pose_engine_is_opened_once_for_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []

    def open_engine(_models: PoseModels, gpu: bool = False) -> object:
        opened.append(gpu)
        return object()

    monkeypatch.setattr("core.engine.warm.open_engine", open_engine)
    path = tmp_path / "body.tflite"
    path.write_bytes(b"1")
    offline, dwpose = PoseModels("offline", {"body": path}), PoseModels("dwpose", {"detector": path})
    kept = KeptPoseEngine()
    first = kept(offline)
    assert kept(offline, True) is first
    path.write_bytes(b"22")
    second = kept(offline)
    assert second is not first
    assert kept(dwpose, True) is not kept(dwpose, True)
    assert kept(offline) is second
    kept.drop()
    assert kept(offline) is not second
    assert opened == [False, False, True, True, False]


def test_an_exception_lets_go_of_what_its_frames_held() -> None:
    def fails() -> None:
        big = torch.zeros(4)
        held.append(weakref.ref(big))
        try:
            raise KeyError
        except KeyError as error:
            raise ValueError from error

    held: list[weakref.ref[torch.Tensor]] = []
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fails()
    assert held[0]() is not None
    let_go(caught.value)
    assert held[0]() is None
