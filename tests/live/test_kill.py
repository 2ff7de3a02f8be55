"""`kill -9` of the controller at random moments of `up` and of `down`: the next `down` leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import kills, labs
from tests.live.backends import CONTAINERS, HERE

pytestmark = [pytest.mark.live, pytest.mark.long]
LAB = "test-kills"
SMALL = """lab: test-kills
clouds:
  dmvpn: {subnet: 10.0.0.0/24, key: 1, unique: false, routing: {protocol: none}}
nodes:
  hub: {nbma: 172.17.0.1/24, clouds: {dmvpn: {role: hub}}}
  spoke-a: {nbma: {dhcp: 172.16.1.1/24}, lan: 192.168.1.1/24, clouds: {dmvpn: {role: spoke}}}
"""


@pytest.fixture(scope="module", params=HERE)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend of this host."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with a node of each kind, small: it is started thirty times."""
    path = tmp_path_factory.mktemp("kills") / f"{LAB}.yml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def here(backend: str, topology: Path) -> kills.Undisturbed:
    """How long `up` and `down` take."""
    found = kills.undisturbed(topology, LAB, backend)
    print(f"{backend}: up {found.up_s:.1f} s, down {found.down_s:.1f} s")
    return found


@pytest.mark.parametrize("seed", range(10))
def test_down_leaves_nothing_of_an_up_that_was_killed(
    backend: str, topology: Path, here: kills.Undisturbed, seed: int
) -> None:
    kills.killed_during_up(topology, LAB, backend, kills.moment(seed, here.up_s))


@pytest.mark.parametrize("seed", range(10, 20))
def test_down_leaves_nothing_of_a_lab_whose_down_was_killed(
    backend: str, topology: Path, here: kills.Undisturbed, seed: int
) -> None:
    kills.killed_during_down(topology, LAB, backend, kills.moment(seed, here.down_s))


@pytest.mark.parametrize("other", CONTAINERS)
def test_two_labs_on_two_backends_do_not_meet(dmvpn_labs: Labs, tmp_path: Path, other: str) -> None:
    """The same addresses in both, one torn down beside the other."""
    first, second = (labs.topology(tmp_path, "hub-and-spoke", name) for name in ("test-left", "test-right"))
    with dmvpn_labs.running(str(first), "netns") as left:
        before = kills.strangers()
        with dmvpn_labs.running(str(second), other) as right:
            left.verify()
            right.verify()
            moved = right.address_change("spoke-a", "172.16.1.77/24")
            assert moved.after_s("registered") > 0
            assert bindings(left) == {"172.16.1.1", "172.16.2.1"}
            assert bindings(right) == {"172.16.1.77", "172.16.2.1"}
        own = frozenset(each for pid in Cgroup("test-left").pids() for each in kills.named(pid))
        assert kills.left_behind("test-right", other, before | own) == []  # the other's programs come and go
        left.verify()


def bindings(lab: LiveLab) -> set[str]:
    """The NBMA addresses in the hub's cache."""
    return {entry["nbma"] for entry in lab.show("hub", "nhrp")}
