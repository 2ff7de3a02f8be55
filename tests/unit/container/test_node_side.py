"""What goes into the node image: the node side, whole, and nothing of the lab side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dmvpn_lab.container import image, node_side
from dmvpn_lab.machine.recipe import load


def test_the_first_process_starts_from_the_collected_files_alone(tmp_path: Path) -> None:
    for path, content in node_side.files().items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; import dmvpn_lab.node.init as i; print(i.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "dmvpn_lab/node/init.py")


def test_nothing_of_the_lab_side_goes_along() -> None:
    folders = {path.split("/")[1] for path in node_side.files() if path.count("/") > 1}
    assert {"node", "daemon", "linux", "nhrp"} <= folders
    assert not folders & {"spec", "render", "routing", "backends", "cli", "testing", "machine", "container"}


def test_the_reference_changes_with_the_code_and_only_then() -> None:
    recipe = load()
    one, two = {"src/a.py": b"1"}, {"src/a.py": b"2"}
    assert image._digest(recipe, one) == image._digest(recipe, dict(one))
    assert image._digest(recipe, one) != image._digest(recipe, two)


def test_equal_files_give_equal_build_contexts() -> None:
    assert image._context({"Dockerfile": b"x"}).read() == image._context({"Dockerfile": b"x"}).read()
