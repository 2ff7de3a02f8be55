"""Cables: veth pairs made with both ends already inside their namespaces.

Nothing of a lab is ever in the host's own network namespace.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from dmvpn_lab.errors import LabError
from dmvpn_lab.spec.plan_types import Plan


async def wire(plan: Plan, pids: Mapping[str, int]) -> None:
    """Make every link of a plan between the nodes' first processes. Raises LabError."""
    spaces: dict[str, int] = {}
    try:
        for name, pid in pids.items():
            spaces[name] = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        async with AsyncIPRoute() as netlink:
            for link in plan.links:
                far = {"ifname": link.b.interface, "net_ns_fd": spaces[link.b.node]}
                await netlink.link(
                    "add", kind="veth", ifname=link.a.interface, net_ns_fd=spaces[link.a.node], peer=far
                )
    except FileNotFoundError as error:
        raise LabError(f"a node died before it was wired: {error.filename}") from error
    except NetlinkError as error:
        raise LabError(f"link {link.a} - {link.b}: {error}") from error
    finally:
        for fd in spaces.values():
            os.close(fd)
