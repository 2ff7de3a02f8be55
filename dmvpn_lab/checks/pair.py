"""Two spokes with a host behind each, of a cloud of phase 2 or 3: what is between them, and who sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from dmvpn_lab.checks.outside import outside
from dmvpn_lab.checks.reachability import forwarded, trace
from dmvpn_lab.checks.ways import Member, has_lan, host_behind, of_family, path
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import CloudPlan


@dataclass(frozen=True, slots=True)
class Pair:
    """Packets go from behind the one spoke to behind the other."""

    lab: RunningLab
    watch: Watch
    cloud: CloudPlan
    source: Member
    target: Member
    version: int
    """Of the packets: 4 or 6."""

    @classmethod
    def all_of(cls, lab: RunningLab, watch: Watch) -> Iterator[Self]:
        """The first two spokes with a host of each cloud that has direct tunnels."""
        for cloud in lab.plan.clouds:
            if cloud.phase == 1 or not lab.plan.members(cloud.name, "hub"):
                continue
            for version in cloud.versions():
                spokes = [m for m in lab.plan.ours(cloud.name, "spoke") if has_lan(lab.plan, m, version)]
                if len(spokes) >= 2:
                    yield cls(lab, watch, cloud, spokes[0], spokes[1], version)

    @property
    def spoke(self) -> str:
        """The router that the packets come from."""
        return self.source[0].name

    @property
    def host(self) -> str:
        """The host that they come from."""
        return _host(self.lab, self.source)

    @property
    def far_host(self) -> str:
        """The host that they are for."""
        return _host(self.lab, self.target)

    @property
    def hops(self) -> list[str]:
        """Of the direct way, as traceroute shows it."""
        hops = path(self.lab.plan, self.cloud, self.source, self.target, self.version)
        return [str(hop) for hop in hops]

    @property
    def far(self) -> str:
        """The address that they are for."""
        return self.hops[-1]

    @property
    def peer(self) -> str:
        """The other spoke's tunnel address."""
        return str(of_family(self.target[1].addresses(), self.version))

    @property
    def hubs(self) -> list[str]:
        """The hubs' tunnel addresses."""
        members = self.lab.plan.members(self.cloud.name, "hub")
        return [str(of_family(tunnel.addresses(), self.version)) for _, tunnel in members]

    async def gateway(self) -> str:
        """The next hop, as the spoke's kernel says."""
        return (await forwarded(self.lab, self.source[0], self.far)).get("gateway") or "nobody"

    async def peer_nbma(self) -> str | None:
        """Where the world sees the other spoke."""
        return await outside(self.lab, self.target[0].name, self.target[1].name)

    async def send(self) -> None:
        """One packet, whatever becomes of it."""
        await self.lab.exec(self.host, "ping", "-n", "-c", "1", "-W", "1", self.far)

    async def traced(self) -> list[str]:
        """The hops that a packet takes now."""
        return await trace(self.lab, self.host, self.far)

    async def straight(self) -> tuple[bool, str]:
        """Whether it takes the direct way."""
        seen = await self.traced()
        return seen == self.hops, " > ".join(seen)


def _host(lab: RunningLab, router: Member) -> str:
    host = host_behind(lab.plan, router[0])
    assert host is not None
    return host.name
