"""Opening ONNX files: right ones, wrong ones, and GPUs that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from core.errors import BadCheckpoint
from core.pose.extract.dwpose import DETECTOR, ESTIMATOR
from core.pose.extract.onnx_session import CPU, Expected, Network
from tests.fakes.tiny_pose_models import write_detector, write_estimator

SMALL = Expected("tiny network", "tiny", (None, 3), ((None, 3),))


def save(path: Path, nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto] = ()) -> Path:
    """A network from x [n, 3] to y [n, 3]."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "small", ends[:1], ends[1:], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Doubles its input."""
    return save(tmp_path / "small.onnx", [helper.make_node("Add", ["x", "x"], ["y"])])


def refused(path: Path, expected: Expected = SMALL) -> BadCheckpoint:
    with pytest.raises(BadCheckpoint) as caught:
        Network(path, expected)
    assert path.name in caught.value.message
    assert caught.value.value
    assert "pirouette models" in caught.value.action
    return caught.value


def test_a_network_computes(small: Path) -> None:
    network = Network(small, SMALL)
    np.testing.assert_array_equal(network.run(np.ones((4, 3), np.float32))[0], np.full((4, 3), 2))
    assert (network.provider, network.batch, network.notes) == (CPU, None, ())


def test_outputs_are_told_apart_by_their_shapes(tmp_path: Path) -> None:
    """Whatever their order and names in the file."""
    model = onnx.load(write_estimator(tmp_path / "pose.onnx"))
    names = [output.name for output in model.graph.output]
    swapped = [model.graph.output[1], model.graph.output[0]]
    del model.graph.output[:]
    model.graph.output.extend(swapped)
    path = tmp_path / "swapped.onnx"
    onnx.save(model, path)
    assert [output.name for output in onnx.load(path).graph.output] == names[::-1]
    x, y = Network(path, ESTIMATOR).run(np.zeros((1, 3, 384, 288), np.float32))
    assert (x.shape, y.shape) == ((1, 133, 576), (1, 133, 768))


def test_a_missing_file_is_to_be_fetched(tmp_path: Path) -> None:
    assert "models get tiny" in refused(tmp_path / "none.onnx").action
    assert "directory" in refused(tmp_path).message.lower() or "denied" in refused(tmp_path).message.lower()


@pytest.mark.parametrize("content", [b"", b"\x00" * 5000, b"not a network", bytes(range(256)) * 40])
def test_what_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(content)
    assert "models repair tiny" in refused(path).action


def test_a_cut_file_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    whole = write_estimator(tmp_path / "pose.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for share in (0.01, 0.2, 0.5, 0.9, 0.999):
        cut.write_bytes(whole[: int(len(whole) * share)])
        refused(cut, ESTIMATOR)


def test_a_file_with_changed_bytes_opens_or_is_refused(tmp_path: Path) -> None:
    """Never anything but our own error; the seed is fixed, so that a failure comes again."""
    whole = np.frombuffer(write_estimator(tmp_path / "pose.onnx").read_bytes(), np.uint8)
    rng = np.random.default_rng(7)
    path, refusals = tmp_path / "changed.onnx", 0
    for _ in range(40):
        changed = whole.copy()
        changed[rng.integers(0, len(changed), 12)] = rng.integers(0, 256, 12)
        path.write_bytes(changed.tobytes())
        try:
            Network(path, ESTIMATOR)
        except BadCheckpoint:
            refusals += 1
    assert refusals > 0


def test_the_other_network_is_refused_with_its_shape(tmp_path: Path) -> None:
    detector, estimator = write_detector(tmp_path / "a.onnx"), write_estimator(tmp_path / "b.onnx")
    assert "[1, 3, 640, 640]" in refused(detector, ESTIMATOR).message
    assert "[1, 3, 640, 640]" in str(refused(estimator, DETECTOR).limit)


def test_a_network_with_other_results_is_refused(tmp_path: Path) -> None:
    path = write_estimator(tmp_path / "pose.onnx")
    heatmaps = Expected("heat maps", "x", ESTIMATOR.input, ((None, 133, 96, 72),))
    assert "[batch, 133, 576]" in refused(path, heatmaps).message


def test_a_result_of_another_shape_than_declared_is_refused(tmp_path: Path) -> None:
    path = save(
        tmp_path / "liar.onnx",
        [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
    )
    with pytest.raises(BadCheckpoint, match="shape \\[4, 3\\]"):
        Network(path, SMALL).run(np.ones((2, 3), np.float32))


def test_a_network_that_fails_while_it_computes_says_so(tmp_path: Path) -> None:
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [7, 3])
    path = save(tmp_path / "fails.onnx", [helper.make_node("Reshape", ["x", "s"], ["y"])], [shape])
    with pytest.raises(BadCheckpoint, match=r"fails\.onnx cannot be used"):
        Network(path, SMALL).run(np.ones((2, 3), np.float32))


def with_data_at(path: Path, location: str) -> Path:
    """A network that adds three numbers out of another file to its input."""
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="12")
    return save(path, [helper.make_node("Add", ["x", "c"], ["y"])], [tensor])


def test_data_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder, secret = tmp_path / "inside", tmp_path / "secret.bin"
    folder.mkdir()
    for file in (secret, folder / "beside.bin"):
        file.write_bytes(np.ones(3, np.float32).tobytes())
    (folder / "link.bin").symlink_to(secret)
    beside = Network(with_data_at(folder / "good.onnx", "beside.bin"), SMALL)
    assert beside.run(np.ones((1, 3), np.float32))[0].tolist() == [[2, 2, 2]]
    for location in ("../secret.bin", str(secret), "link.bin"):
        assert "xternal data" in refused(with_data_at(folder / "spy.onnx", location)).message


def test_without_a_gpu_provider_the_processor_works_and_a_note_says_so(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["AzureExecutionProvider", CPU])
    network = Network(small, SMALL, gpu=True)
    assert network.provider == CPU
    (note,) = network.notes
    assert "tiny network runs on the processor" in note


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_cannot_be_started_is_told(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This onnxruntime has no CUDA; it drops the provider with a warning and goes on."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    network = Network(small, SMALL, gpu=True)
    assert network.provider == CPU
    assert "CUDAExecutionProvider could not be started" in network.notes[0]
    assert network.run(np.ones((1, 3), np.float32))[0].tolist() == [[2, 2, 2]]


class FailingGpu:
    """A session whose GPU starts and then fails in the middle of the work."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", CPU]

    def run(self, *_: object) -> None:
        raise RuntimeError("CUDA error 2 : out of memory")


def test_a_gpu_that_fails_at_work_is_replaced_and_told(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])

    def opened(path: str, options: object, providers: list[tuple[str, object]], **more: object) -> Any:
        if providers[0][0] == CPU:
            return real(path, options, providers, **more)
        return FailingGpu(real(path, options, [CPU], **more))

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    network = Network(small, SMALL, gpu=True)
    assert network.notes == ()
    assert network.run(np.ones((1, 3), np.float32))[0].tolist() == [[2, 2, 2]]
    assert network.provider == CPU
    assert "out of memory" in network.notes[0]
