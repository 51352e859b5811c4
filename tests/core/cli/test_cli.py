"""The commands from end to end with the real engine process and a tiny random model."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import struct
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from core.catalogue.load import load_catalogue
from core.catalogue.measurements import Measurements
from core.cli.console import ProgressLine, bar
from core.cli.main import main
from core.codec import from_data
from core.media.metadata import read_settings
from core.media.probe import probe_video
from core.types import Note, Progress, RenderRequest

pytestmark = pytest.mark.usefixtures("tiny_mini")
WAIT_S = 60


@pytest.fixture
def arguments(reference: Path, motion: Path, out: Path) -> list[str]:
    inputs = ["--reference", str(reference), "--motion", str(motion), "-o", str(out / "result.mp4")]
    return ["render", *inputs, "--device", "cpu", "--steps", "2"]


def test_json_is_one_object_with_everything(
    arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = [
        "--json",
        "--seed",
        "7",
        "--size",
        "64x64",
        "--prompt",
        "a dancer",
        "--no-sound",
        "--frames",
        "5",
    ]
    assert main([*arguments, *extra]) == 0
    told = capsys.readouterr()
    result = json.loads(told.out)
    assert (result["output"], result["frames"], result["fps"]) == (str(out / "result.mp4"), 5, 16.0)
    assert (result["size"], result["forwards"], result["seed"]) == ("64x64", 2, 7)
    assert set(result["seconds"]) == {"load", "pose", "encode", "sample", "decode", "write"}
    assert result["peak_memory"]["ram_bytes"] > 0
    request = from_data(result["settings"]["request"], RenderRequest)
    assert (request.prompt, request.seed, request.overrides.steps) == ("a dancer", 7, 2)
    assert len(request.reference.sha256) == len(request.motion.sha256) == 64
    assert read_settings(out / "result.mp4") == result["settings"]
    assert "sampling" in told.err
    (kept,) = Measurements().find()
    assert (kept.model, kept.frames, kept.forwards, kept.ok) == ("mini", 5, 2, True)
    assert kept.seconds == result["seconds"]


def test_for_people_the_path_is_on_standard_output(
    arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out == f"{out / 'result.mp4'}\n"
    assert "Note: The embedded model draws the demo's kind of characters" in told.err
    assert probe_video(out / "result.mp4").frame_count == 5


def test_a_trim_and_a_skeleton_video(arguments: list[str], skeleton_video: Path, out: Path) -> None:
    extra = ["--motion", str(skeleton_video), "--motion-kind", "skeleton", "--start", "0.25", "--end", "0.45"]
    assert main([*arguments, *extra]) == 0
    assert probe_video(out / "result.mp4").frame_count == 1


def test_the_demo_takes_the_first_of_each_and_prints_the_path_last(
    reference: Path,
    motion: Path,
    own_home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.cli.commands.demo_characters", lambda: [reference])
    monkeypatch.setattr("core.cli.commands.demo_motions", lambda: [motion])
    assert main(["demo", "--device", "cpu", "--steps", "1"]) == 0
    expected = own_home / "results" / "reference - wave.mp4"
    assert capsys.readouterr().out.splitlines()[-1] == str(expected)
    assert probe_video(expected).frame_count == 5


def test_evaluate_measures_the_embedded_model(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--synthetic", "--clips", "1", "--steps", "1", "--out", str(out), "--device", "cpu"]
    assert main(["evaluate", "mini", *options, "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)
    assert (out / "results.json").is_file()


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_with_130_and_leaves_nothing(
    arguments: list[str], out: Path, stop: signal.Signals
) -> None:
    command = [sys.executable, "-m", "core.cli", *arguments, "--steps", "100", "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("sampling"):
                process.send_signal(stop)
                break
        told = process.stdout.read()
        rest = process.stderr.read()
    assert process.returncode == 130
    assert json.loads(told)["error"]["type"] == "Cancelled"
    assert "Traceback" not in rest
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_damaged_weights(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tiny_mini: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    copy = tmp_path / "mini"
    copy.mkdir()
    for file in tiny_mini.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    weights = copy / "transformer.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    else:
        weights.write_bytes((copy / "vae.safetensors").read_bytes())
    monkeypatch.setenv("PIROUETTE_MINI_DIR", str(copy))
    assert main([*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "BadCheckpoint"


INTERRUPTED_IMPORT = """
import sys
from core.cli.main import main
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "core.cli.commands":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
raise SystemExit(main(["hardware"]))
"""


def test_ctrl_c_while_modules_are_still_being_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "pirouette: Cancelled.\n")


def test_check_golden(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    golden = Path(__file__).resolve().parents[2] / "golden" / "unipc_a.safetensors"
    assert main(["check-golden", str(golden)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == str(golden)
    assert all(row.strip().startswith("PASS") for row in rows[1:])
    import torch
    from safetensors.torch import save_file

    unknown = tmp_path / "unknown.safetensors"
    save_file({"x": torch.zeros(1)}, str(unknown), {"kind": "riddle"})
    assert main(["check-golden", str(golden), str(unknown), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is False
    assert told["files"][str(unknown)][0]["max_abs_error"] is None


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_on_a_terminal_and_a_line_a_phase_elsewhere() -> None:
    events = [Progress("load"), Progress("sample", 0, 2, 1, 4), Note("Look."), Progress("sample", 1, 2, 4, 4)]
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        line = ProgressLine(stream)
        for event in events:
            line.show(event)
        line.close()
    assert terminal.getvalue().count("\n") == 3
    assert "4/4" in terminal.getvalue()
    assert pipe.getvalue() == "loading the model\nsampling\nNote: Look.\n"


def test_bars_count_forwards_where_there_are_any() -> None:
    assert bar(Progress("load")) == ""
    assert bar(Progress("decode", 1, 2)).endswith("1/2")
    assert bar(Progress("sample", 1, 2, 3, 4)).endswith("3/4")


def sparse_checkpoint(path: Path, without: tuple[str, ...]) -> None:
    """A 14B file in bfloat16 with its real header and no data (a sparse file), some modules left out."""
    from core.engine.loading.checkpoint import expected_shapes
    from core.engine.models.config import STEADYDANCER_14B

    header: dict[str, object] = {}
    end = 0
    for name, shape in expected_shapes(STEADYDANCER_14B).items():
        if not name.startswith(without):
            start, end = end, end + 2 * math.prod(shape)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + end)


def sparse_companions(models: Path) -> None:
    """Files of the right names and sizes, without data, for the other parts of the 16-bit model."""
    catalogue = load_catalogue()
    parts = catalogue.models["steadydancer-14b-fp16"].parts
    for role, ids in parts.items():
        for file in catalogue.assets[ids[0]].files if role != "transformer" else ():
            path = models / catalogue.assets[ids[0]].repository / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.truncate(path, file.size_bytes or 10)


@pytest.mark.skipif(os.name != "posix", reason="needs sparse files")
@pytest.mark.parametrize("damage", ["plain", "truncated"])
def test_weights_that_are_not_steadydancers(
    arguments: list[str], own_home: Path, out: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    path = own_home / "models" / "Wan21_I2V_SteadyDancer_fp16.safetensors"
    added = ("patch_embedding_fuse", "patch_embedding_ref_c", "condition_embedding")
    sparse_checkpoint(path, added if damage == "plain" else ("none",))
    if damage == "truncated":
        os.truncate(path, path.stat().st_size - 1000)
    sparse_companions(own_home / "models")
    model = ["--model", "steadydancer-14b-fp16", "--preset", "reference", "--try-anyway"]
    assert main([*arguments, *model, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "BadCheckpoint"
    assert list(out.iterdir()) == []
    if damage == "plain":
        assert "a plain Wan image-to-video file" in error["message"]
        for part in ("patch_embedding_fuse", "condition_embedding_align", "condition_embedding_temporal"):
            assert part in error["message"]


def test_the_version_is_told_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"pirouette {version('pirouette-studio')}\n"
