"""Which pose engine is taken, from which files, and what is said when they are missing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.catalogue import pose_models as module
from core.catalogue.catalogue import Asset, Catalogue
from core.catalogue.load import CATALOGUE_VARIABLE, load_catalogue
from core.catalogue.pose_models import offline_models, pose_models
from core.catalogue.store import Store, open_store
from core.catalogue.user import add_local
from core.cli.main import main
from core.errors import BadCheckpoint
from core.pose.extract.models import open_engine
from core.settings import resources
from tests.fakes.hub import FakeHub
from tests.fakes.small_store import one_file, put
from tests.fakes.tiny_pose_models import (
    LESS_SURE_CLOTHES,
    figure,
    install_pose_models,
    stage,
    write_pose_hub,
    write_pose_models,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole folder of the offline engine, whether this checkout has its networks or not."""
    folder = tmp_path / "package" / "models" / "pose"
    folder.mkdir(parents=True)
    source = '[files.{0}]\nname = "{0}.tflite"\nsha256 = "{1}"\n'
    text = ""
    for key in ("detector", "body", "hand"):
        (folder / f"{key}.tflite").write_bytes(key.encode())
        text += source.format(key, hashlib.sha256(key.encode()).hexdigest())
    (folder / "source.toml").write_text(text)
    monkeypatch.setattr(module, "resources", lambda: tmp_path / "package")
    return folder


def pose_asset(asset_id: str, role: str, path: str) -> Asset:
    return one_file(asset_id, role, path, "maker/pose", "onnx")  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Callable[[], Store]:
    """Both networks, a second source of each, and networks of other kinds."""
    assets = [
        pose_asset("yolov10m", "pose_detector", "det/yolov10m.onnx"),
        pose_asset("yolox-l", "pose_detector", "yolox_l.onnx"),
        pose_asset("yolox-l-other", "pose_detector", "pose/yolox_l.onnx"),
        pose_asset("vitpose-s", "pose_estimator", "onnx/vitpose-s-wholebody.onnx"),
        pose_asset("dwpose-l", "pose_estimator", "dw-ll_ucoco_384.onnx"),
        pose_asset("dwpose-l-other", "pose_estimator", "pose/dw-ll_ucoco_384.onnx"),
    ]
    opened = Store(tmp_path / "store", Catalogue({}, {asset.id: asset for asset in assets}, {}))
    return lambda: opened


def test_without_dwpose_the_offline_engine_is_taken(folder: Path, store: Callable[[], Store]) -> None:
    models = pose_models("auto", store)
    assert models.engine == "offline"
    assert models.files == {key: folder / f"{key}.tflite" for key in ("detector", "body", "hand")}


@pytest.mark.parametrize("detector", ["yolox-l", "yolox-l-other"])
@pytest.mark.parametrize("estimator", ["dwpose-l", "dwpose-l-other"])
def test_with_both_files_dwpose_is_taken(store: Callable[[], Store], detector: str, estimator: str) -> None:
    put(store(), detector)
    put(store(), estimator)
    models = pose_models("auto", store)
    assert models.engine == "dwpose"
    assert models.files == {
        "detector": store().part_path(detector),
        "estimator": store().part_path(estimator),
    }


@pytest.mark.parametrize("installed", [("yolox-l",), ("dwpose-l",), ("yolov10m", "vitpose-s")])
@pytest.mark.usefixtures("folder")
def test_half_of_dwpose_or_another_network_is_not_enough(
    store: Callable[[], Store], installed: tuple[str, ...]
) -> None:
    for asset in installed:
        put(store(), asset)
    assert pose_models("auto", store).engine == "offline"


def test_offline_asked_for_does_not_open_the_store(folder: Path) -> None:
    def no_store() -> Store:
        raise AssertionError("The store was opened.")

    assert pose_models("offline", no_store).files["body"] == folder / "body.tflite"


def test_dwpose_asked_for_names_the_command_that_gets_what_is_missing(store: Callable[[], Store]) -> None:
    with pytest.raises(BadCheckpoint) as caught:
        pose_models("dwpose", store)
    assert "`pirouette models get yolox-l dwpose-l`" in caught.value.action
    put(store(), "yolox-l")
    with pytest.raises(BadCheckpoint) as caught:
        pose_models("dwpose", store)
    assert "`pirouette models get dwpose-l`" in caught.value.action
    put(store(), "dwpose-l")
    assert pose_models("dwpose", store).engine == "dwpose"


def test_the_shipped_catalogue_has_both(tmp_path: Path) -> None:
    shipped = Store(tmp_path, load_catalogue(resources() / "catalogue.toml"))
    for role, (_, asset_id, pattern) in module.DWPOSE.items():
        assert shipped.asset(asset_id).role == role
        assert Path(shipped.asset(asset_id).files[0].path).match(pattern)
    with pytest.raises(BadCheckpoint, match=r"0\.35 GB"):
        pose_models("dwpose", lambda: shipped)


@pytest.mark.usefixtures("loopback")
def test_the_command_in_the_message_gets_an_engine_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CATALOGUE_VARIABLE, str(write_pose_hub(tmp_path)))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hugging-face"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(BadCheckpoint) as caught:
        pose_models("dwpose")
    command = caught.value.action.split("`")[1]
    with FakeHub(tmp_path / "hub") as hub:
        verb = [*command.split()[1:], "--endpoint", hub.endpoint]
        assert main(verb) == 0, capsys.readouterr()
    models = pose_models("auto")
    assert models.engine == "dwpose"
    assert open_engine(models).people(stage(64, 64)) == []


def test_a_users_own_files_go_first(tmp_path: Path) -> None:
    """As entered by ``pirouette models add``, whatever they are called, and they open."""
    own = install_pose_models(tmp_path / "own")
    renamed = write_pose_models(tmp_path / "more").files["detector"].rename(tmp_path / "more" / "mine.onnx")
    add_local(renamed, "pose_detector", asset_id="another")
    models = pose_models("auto", open_store)
    assert models == own
    picture = stage(320, 320)
    figure((100, 60, 200, 280), {}, LESS_SURE_CLOTHES, picture, 1)
    assert len(open_engine(models).people(picture)) == 1


def test_a_missing_offline_network_names_the_way_out(folder: Path, tmp_path: Path) -> None:
    (folder / "hand.tflite").unlink()
    with pytest.raises(BadCheckpoint, match=r"is not there: hand\.tflite") as caught:
        pose_models("offline")
    assert "Install a package" in caught.value.action
    assert "pirouette models get yolox-l dwpose-l" in caught.value.action
    (tmp_path / "installer").mkdir()
    (tmp_path / "installer" / "pose_models.py").touch()
    with pytest.raises(BadCheckpoint) as caught:
        pose_models("offline")
    assert "python installer/pose_models.py" in caught.value.action


def test_a_changed_offline_network_is_refused(folder: Path) -> None:
    (folder / "body.tflite").write_bytes(b"other")
    with pytest.raises(BadCheckpoint, match=r"is damaged: body\.tflite"):
        pose_models("offline")


def test_the_shipped_description_names_all_three(tmp_path: Path) -> None:
    shutil.copy(resources() / "models" / "pose" / "source.toml", tmp_path)
    with pytest.raises(BadCheckpoint, match=r"pose_detection\.tflite"):
        offline_models(tmp_path)
