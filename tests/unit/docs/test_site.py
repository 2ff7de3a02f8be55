"""The site is built from docs/ without a warning: no dead link, no page that nothing leads to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "doctrees")]
    built = subprocess.run(
        [*argv, str(DOCS), str(tmp_path / "site")], capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    pages = {path.stem for path in DOCS.glob("*.md")}
    assert {path.stem for path in (tmp_path / "site").glob("*.html")} >= pages


def test_the_reference_of_commands_is_what_the_program_says(tmp_path: Path) -> None:
    written = tmp_path / "commands.md"
    subprocess.run(
        [sys.executable, "-m", "typer", "dmvpn_lab.cli.app", "utils", "docs", "--name", "dmvpn-lab",
         "--title", "Commands", "--output", str(written)],
        capture_output=True,
        check=True,
    )  # fmt: skip
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == written.read_text(encoding="utf-8"), (
        "run 'make docs'"
    )
