"""The routing protocols that the agent itself speaks, as the service sees them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from dmvpn_lab.daemon.config import AgentConfig
from dmvpn_lab.daemon.eigrp import Eigrp, Publish
from dmvpn_lab.daemon.odr import Odr, Peers
from dmvpn_lab.linux.netlink import Netlink


class Protocols:
    """Those that the configuration has."""

    def __init__(self, config: AgentConfig, netlink: Netlink, loop: asyncio.AbstractEventLoop,
                 publish: Publish, peers: Peers, log: logging.Logger) -> None:  # fmt: skip
        self._eigrp: Eigrp | None = None
        self._odr: Odr | None = None
        if config.eigrp is not None:
            self._eigrp = Eigrp(config.eigrp, netlink, loop, publish, log)
        if config.odr is not None:
            self._odr = Odr(config.odr, netlink, loop, publish, peers, log)

    def query(self, name: str) -> Any:
        """The answer to one of their queries; None where the protocol does not run."""
        if name == "odr":
            return None if self._odr is None else self._odr.status()
        return None if self._eigrp is None else self._eigrp.query(name)

    def peers_changed(self, interface: str) -> None:
        """Somebody new gets a tunnel's multicast, or an NHS has bound a new address of ours."""
        for each in (self._eigrp, self._odr):
            if each is not None:
                each.peers_changed(interface)

    def close(self) -> None:
        """Stop; routes stay in the kernel."""
        for each in (self._eigrp, self._odr):
            if each is not None:
                each.close()
