"""The real dnsmasq reads what is rendered for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dmvpn_lab.render import dhcp
from tests.unit.programs import path_of
from tests.unit.spec.labs import every_plan

LINES = [pytest.param(a, id=f"{name}-{a.router}") for name, plan in every_plan().items()
         for a in plan.access if a.dynamic]  # fmt: skip


def check(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "dhcp.conf"
    path.write_text(text)
    argv = [path_of("dnsmasq"), "--test", f"--conf-file={path}"]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.program("dnsmasq")
@pytest.mark.parametrize("access", LINES)
def test_dnsmasq_accepts_the_configuration_of_each_line(access: object, tmp_path: Path) -> None:
    done = check(dhcp.server(access), tmp_path)  # type: ignore[arg-type]
    assert (done.returncode, done.stderr.strip()) == (0, "dnsmasq: syntax check OK.")


@pytest.mark.program("dnsmasq")
def test_dnsmasq_refuses_a_configuration_that_is_wrong(tmp_path: Path) -> None:
    """So that the test above can fail."""
    access = next(a for a in every_plan()["hub-and-spoke"].access if a.dynamic)
    done = check(dhcp.server(access).replace("static", "statically"), tmp_path)
    assert done.returncode != 0
