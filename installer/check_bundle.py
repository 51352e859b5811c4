"""Tries the bundle as a user would: out of the checkout, on a screen of its own, with nothing but the system.

The demo is rendered through the window. Where the system lets us, the checkout and the Python that built the
bundle are hidden meanwhile; in any case what the processes have open is looked at. Linux only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import kernel_parts
import psutil
from bundle import BUNDLE, say, sizes

ROOT: Final = Path(__file__).resolve().parent.parent
# Compared with by commands: the text encoder, the video autoencoder, blocks of the network, drawn poses.
_GOLDEN: Final = ("umt5_a", "vae_a", "modules_a", "pose_draw_a")
_LOOK_EVERY_S: Final = 0.2
_DEMO_S: Final = 600.0
_STARTS: Final = 5
_TORCH: Final = "libtorch_cpu"
_INTERPRETED: Final = ("TRITON_INTERPRET=1", "PIROUETTE_INTERPRET=1")
_COMMANDS: Final = (
    ("pirouette", "--version"),
    ("pirouette", "demo", "--help"),
    ("pirouette", "hardware"),
    ("pirouette", "models", "list"),
    ("pirouette-engine", "--check"),
    ("pirouette-desktop", "--version"),
)


@dataclass
class Watched:
    """What a program and those it started had open.

    Attributes:
        files: by the program's name.
    """

    code: int | None = None
    output: str = ""
    seconds: float = 0.0
    files: dict[str, set[str]] = field(default_factory=dict)

    def of(self, program: str) -> set[str]:
        """Files that this executable had open or mapped."""
        return self.files.get(program, set())

    def all(self) -> set[str]:
        """Files of any of them."""
        return set().union(*self.files.values())


def main() -> int:
    """Run all checks; 0 if all is well."""
    if sys.platform != "linux":
        say("Checked on Linux only, where it can be seen what processes have open; try it by hand here.")
        return 0
    trouble = missing()
    if trouble:
        say(trouble)
        return 1
    with tempfile.TemporaryDirectory(prefix="bundle-") as name, screen() as display:
        return check(Path(name), display)


def check(folder: Path, display: str) -> int:
    """Copy the bundle into a folder and try it there."""
    bundle = folder / "Pirouette"
    shutil.copytree(BUNDLE, bundle, symlinks=True)
    say(sizes(bundle))
    environment = clean_environment(folder, display)
    hide = hiding((ROOT, Path(sys.base_prefix)))
    say(
        "The checkout and its Python are hidden."
        if hide
        else "Nothing can be hidden here: open files are looked at."
    )
    golden = [str(shutil.copy(ROOT / "tests" / "golden" / f"{name}.safetensors", folder)) for name in _GOLDEN]
    commands = (*_COMMANDS, ("pirouette", "check-golden", *golden))
    problems = check_commands(bundle, commands, environment, hide)
    problems += check_kernels(bundle, environment, hide)
    problems += check_demo(bundle, environment, hide)
    problems += check_start(bundle, environment, hide)
    say("\n".join(problems) if problems else "The bundle works.")
    return 1 if problems else 0


def check_commands(
    bundle: Path, commands: Sequence[tuple[str, ...]], environment: Mapping[str, str], hide: list[str]
) -> list[str]:
    """What a shell can ask of it."""
    problems = []
    for program, *arguments in commands:
        done = watch([*hide, str(bundle / program), *arguments], environment)
        told = " ".join([program, *(Path(word).name for word in arguments)])
        say(f"{done.seconds:6.1f} s  {told}: {done.output.strip().splitlines()[-1:]}")
        if done.code != 0:
            problems.append(f"{told} ended with {done.code}: {done.output.strip()}")
        problems += strangers(told, done)
    return problems


def check_kernels(bundle: Path, environment: Mapping[str, str], hide: list[str]) -> list[str]:
    """Our kernels where no program of the system is found: by Triton's interpreter, and compiled."""
    if not kernel_parts.is_installed("triton"):
        say("No Triton was here to be bundled: its kernels are not tried.")
        return []
    bare = [*hide, "/usr/bin/env", "PATH="]
    command = ("pirouette", "hardware", "--kernels", "--json")
    return [
        *check_commands(bundle, [command], environment, [*bare, *_INTERPRETED]),
        *check_commands(bundle, [command], environment, bare),
    ]


def check_demo(bundle: Path, environment: Mapping[str, str], hide: list[str]) -> list[str]:
    """The render through the window, and its file."""
    done = watch([*hide, str(bundle / "pirouette-desktop"), "--demo-and-quit"], environment)
    say(f"{done.seconds:6.1f} s  pirouette-desktop --demo-and-quit")
    problems = strangers("The demo", done)
    if done.code != 0:
        return [*problems, f"The demo ended with {done.code}: {done.output}"]
    if any(_TORCH in file for file in done.of("pirouette-desktop")):
        problems.append("The window's process has torch loaded.")
    if not any(_TORCH in file for file in done.of("pirouette-engine")):
        problems.append("No engine of the bundle had torch loaded.")
    results = Path(environment["PIROUETTE_HOME"]) / "results"
    problems += check_video(results)
    poses = (
        "pirouette",
        "pose",
        "extract",
        *map(str, results.rglob("*.mp4")),
        "-o",
        str(results / "poses.json"),
    )
    return [*problems, *check_commands(bundle, [poses], environment, hide)]


def check_video(results: Path) -> list[str]:
    """One video that plays and knows how it was made."""
    import av

    videos = sorted(results.rglob("*.mp4"))
    if len(videos) != 1:
        return [f"There should be one video, but: {videos}"]
    with av.open(videos[0]) as container:
        frames = sum(1 for _ in container.decode(video=0))
        stream = container.streams.video[0]
        known = any("mini" in value for value in container.metadata.values())
        size = f"{stream.width} x {stream.height}"
        say(f"{videos[0].name}: {frames} frames of {size}, {stream.average_rate} a second")
    problems = [] if frames > 1 and frames % 4 == 1 else [f"The video has {frames} frames."]
    return problems if known else [*problems, "The video does not know its settings."]


def check_start(bundle: Path, environment: Mapping[str, str], hide: list[str]) -> list[str]:
    """How long the window takes, warm."""
    times, problems = [], []
    for _ in range(_STARTS):
        command = [*hide, str(bundle / "pirouette-desktop"), "--measure-startup"]
        # Not watched: looking takes time.
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
        if done.returncode == 0:
            times.append(int(done.stdout.split()[0]))
        else:
            problems.append(f"--measure-startup ended with {done.returncode}: {done.stdout}{done.stderr}")
    say(f"Start to a usable window, ms: {sorted(times)}")
    return problems


def strangers(told: str, done: Watched) -> list[str]:
    """Files of the checkout, or of the Python that built the bundle, that were open."""
    places = (f"{ROOT}/", f"{sys.prefix}/", f"{sys.base_prefix}/lib")
    found = sorted(file for file in done.all() if file.startswith(places))
    return [f"{told} opened what does not belong to the bundle: {found[:5]}"] if found else []


def watch(command: list[str], environment: Mapping[str, str], limit_s: float = _DEMO_S) -> Watched:
    """Run a program, and look at what it and those it starts have open."""
    watched, begun_s = Watched(), time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, env=environment, cwd="/", stdout=output, stderr=output) as process:
            try:
                while process.poll() is None and time.monotonic() - begun_s < limit_s:
                    look(psutil.Process(process.pid), watched)
                    try:
                        process.wait(_LOOK_EVERY_S)
                    except subprocess.TimeoutExpired:
                        continue
            finally:
                if process.poll() is None:
                    process.kill()
        watched.seconds, watched.code = time.monotonic() - begun_s, process.returncode
        output.seek(0)
        watched.output = output.read()
    return watched


def look(process: psutil.Process, watched: Watched) -> None:
    """Note what is open now; a process may be gone at any moment."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return
    for one in family:
        try:
            open_now = {file.path for file in one.open_files()} | {part.path for part in one.memory_maps()}
            watched.files.setdefault(one.name(), set()).update(open_now)
        except (psutil.Error, OSError):
            continue


def clean_environment(folder: Path, display: str) -> dict[str, str]:
    """That of somebody who has just logged in."""
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    (folder / "home").mkdir()
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "DISPLAY": display,
        "XDG_RUNTIME_DIR": str(runtime),
        "PIROUETTE_HOME": str(folder / "pirouette"),
    }


def hiding(places: tuple[Path, ...]) -> list[str]:
    """A command in front of others that lays empty folders over these places; none where it may not."""
    mounts = " && ".join(f"mount -t tmpfs none '{place}'" for place in places)
    prefix = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    try:
        allowed = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    return prefix if allowed else []


@contextmanager
def screen() -> Iterator[str]:
    """A screen that nobody sees; its name for ``DISPLAY``."""
    read, write = os.pipe()
    command = ["Xvfb", "-screen", "0", "1600x1000x24", "-nolisten", "tcp", "-displayfd", str(write)]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with os.fdopen(read) as answer:
            number = answer.readline().strip()
        yield f":{number}"
        server.terminate()


def missing() -> str:
    """What the check needs and is not there; empty where nothing is."""
    if not BUNDLE.is_dir():
        return f"There is no {BUNDLE}: run  make installer"
    if shutil.which("Xvfb") is None:
        return "Xvfb is not here: run  sudo apt-get install xvfb"
    return ""


if __name__ == "__main__":
    sys.exit(main())
