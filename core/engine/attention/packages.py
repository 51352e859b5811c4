"""Packages that users may have installed: whether they import, which version, and if not, why."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from types import ModuleType

_LONGEST_PROBLEM = 300


@dataclass(frozen=True)
class Package:
    """What is known of a package.

    Attributes:
        name: of the distribution, as pip takes it.
        version: None where no metadata is installed.
        module: the first of its modules that imports; None where none does.
        problem: why none imports; empty where one does.
    """

    name: str
    version: str | None
    module: ModuleType | None
    problem: str = ""

    @property
    def major(self) -> int:
        """The first number of the version; 0 where it is unknown."""
        first = (self.version or "0").split(".")[0]
        return int(first) if first.isdecimal() else 0


def find_package(name: str, modules: tuple[str, ...]) -> Package:
    """Import the first of ``modules`` that can be; whatever an import raises makes the package absent."""
    problems = []
    for module in modules:
        try:
            if importlib.util.find_spec(module) is None:
                continue
            return Package(name, version_of(name), importlib.import_module(module))
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):  # itself there, what it needs not
                problems.append(one_line(error))
        except Exception as error:  # compiled for another torch, CUDA or Python: anything can come
            problems.append(one_line(error))
    return Package(name, version_of(name), None, "; ".join(problems) or "not installed")


def version_of(name: str) -> str | None:
    """Of an installed distribution."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def one_line(error: BaseException) -> str:
    """An exception in one line of bounded length, with its type."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST_PROBLEM]
