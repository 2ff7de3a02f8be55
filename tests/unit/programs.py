"""Programs that some tests need: `@pytest.mark.program("cpio")`. Where one is missing the test is
left out with a line that says so; `make unit` installs them where it can."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def path_of(name: str) -> str:
    """Where a program is; a test that is marked for it runs only where it is."""
    found = shutil.which(name, path=PATH)
    assert found is not None, f"mark this test with @pytest.mark.program({name!r})"
    return found


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what cannot run here, and say why."""
    missing: dict[str, list[pytest.Item]] = {}
    for item in items:
        for mark in item.iter_markers("program"):
            if shutil.which(mark.args[0], path=PATH) is None:
                missing.setdefault(mark.args[0], []).append(item)
    for name, left_out in missing.items():
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        print(f"\ndeselected: {len(left_out)} tests that need {name}")


def qemu_without_seccomp(folder: Path) -> None:
    """Put a QEMU there that says and does what one does that was built without its sandbox."""
    program = folder / "qemu-system-x86_64"
    program.write_text("""#!/bin/sh
for word; do case $word in
    -sandbox) echo "$0: -sandbox $2: -sandbox support is not enabled in this QEMU binary" >&2; exit 1 ;;
    --version) echo "QEMU emulator version 7.2.22"; exit 0 ;;
esac; done
""")
    program.chmod(0o755)
