"""What goes into a bundle, how its executables find each other, and what a build says that cannot be made."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from core.helper import MODULES

INSTALLER = Path(__file__).resolve().parents[2] / "installer"
sys.path.insert(0, str(INSTALLER))

import bundle  # noqa: E402
import check_bundle  # noqa: E402
import contents  # noqa: E402
import kernel_parts  # noqa: E402


def entry(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what becomes an executable, from source."""
    root = str(INSTALLER.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ["PYTHONPATH"]])}
    command = [sys.executable, str(INSTALLER / "entries" / f"{name}.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


class Installed(NamedTuple):
    """What is known of a package."""

    origin: str


def places(*names: str) -> list[str]:
    return [place for place, _, _ in contents.kept([(name, f"/from/{name}", "BINARY") for name in names])]


def test_parts_of_qt_that_no_widget_needs_stay_out() -> None:
    needed = (
        "PySide6/Qt/lib/libQt6Widgets.so.6",
        "PySide6/Qt/plugins/platforms/libqxcb.so",
        "PySide6/Qt/plugins/imageformats/libqsvg.so",
        "PySide6/plugins/platforms/qwindows.dll",
        "PySide6/QtNetwork.abi3.so",
        "PySide6/Qt/translations/qtbase_de.qm",
    )
    unneeded = (
        "PySide6/Qt/lib/libQt6Quick.so.6",
        "PySide6/Qt/lib/libQt6Qml.so.6",
        "PySide6/Qt6Pdf.dll",
        "PySide6/Qt/plugins/imageformats/libqpdf.so",
        "PySide6/Qt/plugins/platformthemes/libqgtk3.so",
        "PySide6/Qt/plugins/sqldrivers/libqsqlite.so",
        "PySide6/Qt/translations/qt_help_de.qm",
        "PySide6/Qt/qml/QtQuick/qmldir",
    )
    assert places(*needed, *unneeded) == list(needed)


def test_what_only_builds_torch_stays_out() -> None:
    needed = ("torch/lib/libtorch_cpu.so", "torch/bin/torch_shm_manager", "libz.so.1")
    assert places(
        *needed, "torch/include/ATen/a.h", "torch/test/a.so", "torch/lib/libjitbackend_test.so"
    ) == list(needed)


def test_all_that_triton_reads_is_kept() -> None:
    needed = (
        "triton/_C/libtriton.so",
        "triton/backends/nvidia/driver.c",
        "triton/backends/nvidia/bin/ptxas",
        "triton/backends/nvidia/include/cuda.h",
        "triton/backends/nvidia/lib/libdevice.10.bc",
        "triton-3.6.0.dist-info/entry_points.txt",
        "include/python3.11/Python.h",
        "ziglang/lib/include/stddef.h",
    )
    unneeded = ("triton/_C/libproton.so", "triton/backends/nvidia/lib/cupti/libcupti.so", "numpy/core/a.h")
    assert places(*needed, *unneeded) == list(needed)
    assert [
        name for name in ("triton.language.core", "triton.profiler.hook") if kernel_parts.is_used(name)
    ] == ["triton.language.core"]


def test_of_zig_what_compiles_c_for_glibc_is_taken() -> None:
    needed = (
        "zig",
        "lib/compiler_rt.zig",
        "lib/std/std.zig",
        "lib/include/stddef.h",
        "lib/libc/glibc/abilists",
        "lib/libc/include/x86-linux-gnu/bits/long-double.h",
        "lib/libc/include/any-linux-any/linux/a.h",
    )
    unneeded = ("lib/libcxx/src/a.cpp", "lib/libc/musl/a.c", "lib/libc/include/any-windows-any/a.h", "a.py")
    assert [place for place in (*needed, *unneeded) if kernel_parts.is_of_compiler(place)] == list(needed)


@pytest.mark.skipif(sys.platform != "linux", reason="Triton calls a compiler on Linux only")
@pytest.mark.parametrize("debian", [False, True])
def test_headers_lie_where_they_are_looked_for(
    debian: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "python3.11"
    theirs = tmp_path / "x86_64-linux-gnu" / "python3.11"
    for place in (root / "Python.h", root / "internal" / "a.h", *([theirs / "pyconfig.h"] if debian else [])):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    (tmp_path / "zig").touch()
    told = {"INCLUDEPY": str(root), "MULTIARCH": "x86_64-linux-gnu"}
    monkeypatch.setattr(kernel_parts.sysconfig, "get_config_var", told.get)
    monkeypatch.setattr(kernel_parts.importlib.util, "find_spec", lambda _: Installed(str(tmp_path / "x.py")))
    assert kernel_parts.missing() == ""
    found = {str(Path(folder, Path(source).name)) for source, folder in kernel_parts.carried()}
    assert found == {
        "ziglang/zig",
        "include/python3.11/Python.h",
        "include/python3.11/internal/a.h",
        *(["include/python3.11/x86_64-linux-gnu/python3.11/pyconfig.h"] if debian else []),
    }
    (root / "Python.h").unlink()
    assert "python3-dev" in kernel_parts.missing()
    spec = Installed("")
    monkeypatch.setattr(kernel_parts.importlib.util, "find_spec", {"triton": spec}.get)
    assert "ziglang" in kernel_parts.missing()


def test_nothing_tells_where_it_was_built() -> None:
    assert places(
        "a-1.dist-info/METADATA", "a-1.dist-info/direct_url.json", "a-1.dist-info/RECORD", "RECORD"
    ) == ["a-1.dist-info/METADATA", "RECORD"]


def test_all_package_data_is_there_and_no_code() -> None:
    files = contents.resources()
    assert {"catalogue.toml", "transformer.safetensors", "app.svg"} <= {
        Path(source).name for source, _ in files
    }
    assert not any(source.endswith(".py") for source, _ in files)
    folders = {Path(source).name: folder for source, folder in files}
    assert folders["app.svg"] == str(Path("resources") / "icons")


def test_packages_that_nothing_needed_loads_are_unused() -> None:
    unused = contents.unused(("xml.dom.minidom",), ("xml", "concurrent"))
    assert "xml.sax" in unused
    assert "xml.dom" not in unused
    assert "concurrent.futures" in unused


def test_the_text_and_image_encoders_are_needed() -> None:
    assert {"transformers.models.umt5.modeling_umt5", "transformers.models.clip.modeling_clip"} <= set(
        contents.needed()
    )


def test_the_engines_executable_runs_modules_of_the_list_alone() -> None:
    refused = entry("pirouette_engine", "--module", "http.server")
    assert refused.returncode == 2
    assert "core.engine.worker" in refused.stderr
    assert entry("pirouette_engine").returncode == 2


def test_the_engines_executable_hands_arguments_on() -> None:
    done = entry("pirouette_engine", "--module", "core.cli", "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pirouette ")


def test_each_module_of_the_list_can_be_run() -> None:
    for name in MODULES:
        path = INSTALLER.parent / Path(*name.split("."))
        source = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert '__name__ == "__main__"' in source.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="the search path of Linux' loader")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"LD_LIBRARY_PATH": "/bundle:/theirs", "LD_LIBRARY_PATH_ORIG": "/theirs"}, "/theirs"),
        ({"LD_LIBRARY_PATH": "/bundle"}, None),
        ({"LD_LIBRARY_PATH": "/theirs"}, "/theirs"),
        ({}, None),
    ],
)
def test_programs_of_the_system_get_their_own_libraries(
    before: dict[str, str], after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", "/bundle", raising=False)
    for name in ("LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    runpy.run_path(str(INSTALLER / "hooks" / "restore_search_path.py"))
    assert os.environ.get("LD_LIBRARY_PATH") == after
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)


def test_the_sizes_are_told_by_package(tmp_path: Path) -> None:
    for name, size in {
        "pirouette": 1_000_000,
        "_internal/torch/lib/a.so": 3_000_000,
        "_internal/a.so": 2,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    table = bundle.sizes(tmp_path).splitlines()
    assert table[0].split() == ["3.0", "MB", "torch"]
    assert table[-1].split() == ["4.0", "MB", "in", "all"]


@pytest.mark.skipif(sys.platform != "linux", reason="objdump is asked for on Linux")
def test_a_build_without_objdump_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setenv("PATH", "/nowhere")
    assert "binutils" in bundle.missing()
    monkeypatch.setattr(bundle.importlib.util, "find_spec", lambda _: None)
    assert "[installer]" in bundle.missing()


@pytest.mark.skipif(sys.platform != "linux", reason="the check looks at processes as Linux shows them")
def test_a_file_of_the_checkout_that_is_open_is_seen() -> None:
    code = f"file = open({str(INSTALLER / 'README.md')!r}); import time; time.sleep(1)"
    watched = check_bundle.watch(["/usr/bin/env", sys.executable, "-S", "-c", code], dict(os.environ), 10)
    assert watched.code == 0
    assert check_bundle.strangers("It", watched)
