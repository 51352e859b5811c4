"""Dense kernels: packages are doubles here, since they need a GPU; what they are given is what counts."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from core.engine.attention import backends, dense
from core.engine.attention.backends import BACKENDS, backend, open_backend
from core.engine.attention.kinds import ATTENTION_KINDS, KINDS
from core.engine.attention.packages import find_package
from core.engine.models.attention import attend
from core.errors import BadSetting

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
Install = Callable[..., ModuleType]


def heads(width: int = 64, dtype: torch.dtype = torch.bfloat16, tokens: int = 37) -> list[Tensor]:
    """Random q, k, v [2, tokens, 3, width], the middle of wider tensors, with an offset on the keys."""
    generator = torch.Generator().manual_seed(7)
    wide = [torch.randn(2, tokens, 3, width + 8, generator=generator) for _ in range(3)]
    wide[1] += 2.0
    return [x.to(dtype)[..., :width] for x in wide]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a module with a function, as a distribution of some version."""
    versions: dict[str, str] = {}
    real = importlib.metadata.version

    def version(name: str) -> str:
        return versions[name] if name in versions else real(name)

    def put(distribution: str, number: str, module: str, **members: object) -> ModuleType:
        made = ModuleType(module)
        made.__spec__ = importlib.machinery.ModuleSpec(module, None)
        for name, member in members.items():
            setattr(made, name, member)
        monkeypatch.setitem(sys.modules, module, made)
        versions[distribution] = number
        return made

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: (9, 0))
    return put


def test_every_kind_has_facts() -> None:
    assert tuple(KINDS) == ATTENTION_KINDS
    assert [kind for kind, facts in KINDS.items() if facts.trained] == ["sla", "sagesla"]
    assert [kind for kind, facts in KINDS.items() if facts.exact] == ["sdpa", "flash3"]
    assert "without training" in KINDS["sparse"].label


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "sdpa"])
def test_nothing_but_sdpa_is_there_without_a_gpu(name: backends.BackendName) -> None:
    opened = open_backend(name, CPU)
    assert opened.attend is None
    assert opened.problem
    with pytest.raises(BadSetting) as caught:
        backend(name, CPU)
    assert caught.value.limit == opened.problem


def test_sdpa_is_the_plain_function() -> None:
    assert backend("sdpa", CPU) is attend


@pytest.mark.parametrize("first", [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION])
def test_an_order_of_kernels_changes_no_result_and_is_taken_back(first: SDPBackend) -> None:
    q, k, v = heads(dtype=torch.float32)
    before = torch._C._get_sdp_priority_order()
    assert torch.allclose(dense.preferring(first)(q, k, v), attend(q, k, v), atol=1e-5)
    assert torch._C._get_sdp_priority_order() == before


@pytest.mark.parametrize("as_tuple", [False, True])
def test_flash3_takes_heads_as_they_are(install: Install, as_tuple: bool) -> None:
    given: list[Tensor] = []

    def flash_attn_func(q: Tensor, k: Tensor, v: Tensor) -> Tensor | tuple[Tensor, None]:
        given.extend((q, k, v))
        out = attend(q, k, v) + 1
        return (out, None) if as_tuple else out

    install("fa3-fwd", "0.0.3", "fa3_fwd_interface", flash_attn_func=flash_attn_func)
    opened = open_backend("flash3", CUDA)
    assert opened.attend is not None
    assert opened.version == "fa3-fwd 0.0.3"
    q, k, v = heads()
    assert torch.equal(opened.attend(q, k, v), attend(q, k, v) + 1)
    assert all(one is other for one, other in zip(given, (q, k, v), strict=True))


def test_what_a_kernel_does_not_take_goes_to_sdpa(install: Install) -> None:
    install("fa3-fwd", "0.0.3", "fa3_fwd_interface", flash_attn_func=lambda q, *_: q * torch.nan)
    flash = backend("flash3", CUDA)
    assert flash(*heads()).isnan().all()
    for q, k, v in (heads(dtype=torch.float16), heads(dtype=torch.float32)):
        assert torch.equal(flash(q, k, v), attend(q, k, v))
    q, k, v = heads()
    q.requires_grad_()
    assert torch.equal(flash(q, k, v), attend(q, k, v))
    with torch.no_grad():
        assert flash(q, k, v).isnan().all()


def test_flash3_is_for_gpus_that_it_was_made_for(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("fa3-fwd", "0.0.3", "fa3_fwd_interface", flash_attn_func=attend)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: (12, 0))
    assert "9.0" in open_backend("flash3", CUDA).problem


def test_sage2_is_told_the_layout(install: Install) -> None:
    def sageattn(q: Tensor, k: Tensor, v: Tensor, tensor_layout: str, is_causal: bool) -> Tensor:
        assert (tensor_layout, is_causal) == ("NHD", False)
        return attend(q, k, v) + 1

    install("sageattention", "2.2.0", "sageattention", sageattn=sageattn)
    q, k, v = heads()
    assert torch.equal(backend("sage2", CUDA)(q, k, v), attend(q, k, v) + 1)
    q, k, v = heads(width=24)  # the mini's: not for tensor cores
    assert torch.equal(backend("sage2", CUDA)(q, k, v), attend(q, k, v))
    assert "1.x" not in open_backend("sage2", CUDA).problem
    assert "2.2.0" in open_backend("sage1", CUDA).problem


def test_sage1_leaves_the_keys_alone(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def sageattn(q: Tensor, k: Tensor, v: Tensor, smooth_k: bool = True, **_: object) -> Tensor:
        if smooth_k:
            k -= k.mean(dim=1, keepdim=True)  # as 1.0.6 does
        assert k.float().mean(dim=1).abs().max() < 0.02
        return attend(q, k, v)

    install("sageattention", "1.0.6", "sageattention", sageattn=sageattn)
    monkeypatch.setattr("core.engine.ops.triton_support.usable", lambda _: True)
    q, k, v = heads()
    kept = k.clone()
    out = backend("sage1", CUDA)(q, k, v)
    assert torch.equal(k, kept)
    assert torch.allclose(out.float(), attend(q, k, v).float(), atol=0.02)
    assert open_backend("sage2", CUDA).attend is None


def test_our_own_kernel_is_close_to_exact_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.attention.backends.triton_support.usable", lambda _: True)
    ours = backend("pirouette8", CPU)
    monkeypatch.undo()  # the plain form of the same arithmetic
    q, k, v = heads(tokens=150)
    exact = dense.reference(q, k, v)
    error = (ours(q, k, v).float() - exact).norm() / exact.norm()
    assert 0.001 < error < 0.05


def test_a_package_that_breaks_when_imported_is_absent_and_says_why(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("packages")
    (folder / "broken_kernel.py").write_text("raise OSError('undefined symbol: x')\n", encoding="utf-8")
    (folder / "needy_kernel.py").write_text("import not_there_at_all\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    assert find_package("broken-kernel", ("broken_kernel",)).problem == "OSError: undefined symbol: x"
    assert "not_there_at_all" in find_package("needy-kernel", ("needy_kernel",)).problem
    assert find_package("absent-kernel", ("absent_kernel", "absent.kernel")).problem == "not installed"
