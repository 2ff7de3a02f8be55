"""Every fault, in each of its ways, over each backend: the lab gets over it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from dmvpn_lab.faults import registry
from dmvpn_lab.faults.moment import moments
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import backends, labs

pytestmark = [pytest.mark.live, pytest.mark.long]

NAME = "test-every-fault"
OF_A_MOMENT = [(fault.name, way.name) for fault in moments() for way in fault.ways]
LASTING = sorted(kind.name for kind in registry.kinds().values() if kind.lasting)
OPTIONS = {"impair": {"delay": 50}}
"""For those that do nothing without."""
Lines = dict[tuple[str, str], tuple[object, ...]]
"""(Node, interface) -> its addresses, whether it has a carrier, how it queues."""


@pytest.fixture(scope="module", params=backends.HERE)
def lab(
    request: pytest.FixtureRequest, dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveLab]:
    """Protected spokes, one behind a NAT router: there is no fault that cannot be done here."""
    short = ("holding-time: 600", "holding-time: 30")
    path = labs.topology(tmp_path_factory.mktemp("faults"), "ipsec-nat", NAME, short)
    with dmvpn_labs.running(str(path), request.param) as made:
        made.verify()
        yield made


def target(lab: LiveLab, fault: str) -> str:
    """Where it is done: at the hub if it can be."""
    nodes = sorted(registry.kind(fault).targets(lab.plan))
    return "hub" if "hub" in nodes else nodes[-1]


def inject(lab: LiveLab, fault: str, node: str) -> None:
    """Any fault by its name."""

    async def do() -> str:
        return await registry.kind(fault).inject(lab.lab, node, OPTIONS.get(fault, {}))

    lab.run(do())


def lines(lab: LiveLab) -> Lines:
    """What every node's kernel says of the cables: what a lasting fault changes."""

    async def of(node: str) -> Lines:
        shown = json.loads(await lab.lab.must(node, "ip", "-json", "address", "show", "type", "veth"))
        return {
            (node, link["ifname"]): (
                [each["local"] for each in link["addr_info"] if each["family"] == "inet"],
                "LOWER_UP" in link["flags"],
                link["qdisc"],
            )
            for link in shown
        }

    async def of_all() -> list[Lines]:
        return await asyncio.gather(*(of(node.name) for node in lab.plan.nodes))

    return {key: value for found in lab.run(of_all()) for key, value in found.items()}


@pytest.mark.parametrize(("fault", "way"), OF_A_MOMENT)
def test_a_fault_of_a_moment_is_got_over(lab: LiveLab, fault: str, way: str) -> None:
    outages = lab.outage(fault, target(lab, fault), way)
    assert {(each.spoke, each.hub) for each in outages} == {("spoke-a", "hub"), ("spoke-b", "hub")}
    lab.check("registration", "encryption", "adjacency")


@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts_is_there_until_it_is_undone(lab: LiveLab, fault: str) -> None:
    node, before = target(lab, fault), lines(lab)
    inject(lab, fault, node)
    (in_force,) = lab.faults()
    assert (in_force.fault, in_force.node) == (fault, node)
    lab.wait_for(lambda: lines(lab) != before, what=f"{fault} shows on a line")
    if fault != "link-down":
        lab.check("registration")
    lab.undo()
    assert lab.faults() == []
    lab.wait_for(lambda: lines(lab) == before, what="the lines are as before")
    lab.check("registration", "encryption", "adjacency")
