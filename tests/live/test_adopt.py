"""A lab that somebody has deployed with containerlab: taken over, proved, changed, and removed whole."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmvpn_lab.backends.containerlab import PROGRAM
from dmvpn_lab.container import image
from dmvpn_lab.errors import LabError
from tests.live import kills, labs
from tests.live.test_kill import SMALL

pytestmark = [pytest.mark.live, pytest.mark.long]
LAB = "test-adopted"


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    """What `render` writes, with the image that it names."""
    image.ensure(print)
    path = tmp_path / f"{LAB}.yml"
    path.write_text(SMALL.replace("lab: test-kills", f"lab: {LAB}"))
    folder = tmp_path / "rendered"
    code, said = labs.cli("render", "--to", "containerlab", "--output", str(folder), str(path))
    assert code == 0, said
    return folder


@pytest.fixture
def deployed(rendered: Path) -> Iterator[Path]:
    """The same, deployed by hand; removed by hand if a test has not done it."""
    topology = str(rendered / f"{LAB}.clab.yml")
    subprocess.run([PROGRAM, "deploy", "--topo", topology], cwd=rendered, check=True)
    yield rendered
    subprocess.run([PROGRAM, "destroy", "--topo", topology, "--cleanup"], cwd=rendered, check=False)


def test_a_lab_that_was_deployed_by_hand_is_adopted_and_goes_whole(deployed: Path) -> None:
    assert labs.cli("adopt", str(deployed))[0] == 0
    proved = labs.told(LAB, "verify")
    assert proved["passed"], proved
    assert {each["name"] for each in proved["checks"]} >= {"registration", "multicast"}
    moved = labs.told(LAB, "inject", "address-change", "spoke-a")
    assert moved["passed"], moved
    assert labs.cli("down", LAB)[0] == 0
    assert kills.left_behind(LAB, "containerlab") == []
    assert list(deployed.glob("clab-*")) == []


def test_what_was_not_deployed_is_not_adopted(rendered: Path) -> None:
    with pytest.raises(LabError, match="there is no container"):
        labs.cli("adopt", str(rendered))
    assert kills.left_behind(LAB, "containerlab") == []
