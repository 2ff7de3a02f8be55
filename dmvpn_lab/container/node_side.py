"""Which files of the package the node image needs: what its first process imports, found by reading."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
ENTRY = "dmvpn_lab.node.init"


def files(package: Path = PACKAGE) -> dict[str, bytes]:
    """Path below the package's parent -> content, for every module that ENTRY imports."""
    found: dict[str, bytes] = {}
    waiting = [ENTRY, "dmvpn_lab.daemon.__main__"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _path(package, name)
        if path is not None:
            source = path.read_bytes()
            found[str(path.relative_to(package.parent))] = source
            waiting += _imports(name, source)
            waiting.append(name.rpartition(".")[0] or name)
    return dict(sorted(found.items()))


def _path(package: Path, name: str) -> Path | None:
    """The file of a module; None for a name in a module, or of another package."""
    place = package.parent.joinpath(*name.split("."))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file() and name.split(".")[0] == package.name:
            return path
    return None


def _imports(name: str, source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
