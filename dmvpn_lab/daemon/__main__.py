"""`python3 -m dmvpn_lab.daemon --config FILE`: the NHRP agent of one router."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

from dmvpn_lab.daemon.config import AgentConfig, load
from dmvpn_lab.daemon.service import Service
from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.linux.netlink import Netlink

DEFAULT_CONFIG = Path("/etc/dmvpn-lab/agent.json")


def main() -> int:
    """Entry point. Exit codes: 0 ended by a signal, 2 wrong configuration, 3 wrong host."""
    parser = argparse.ArgumentParser(prog="dmvpn-agent", description="The NHRP agent of one router.")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="JSON file (%(default)s)")
    try:
        run(load(parser.parse_args().config))
    except DmvpnLabError as error:
        print(f"dmvpn-agent: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run(config: AgentConfig) -> None:
    """Run an agent in this process until it is told to end. Raises DmvpnLabError.

    It takes no processor from whom it hears (sched(7), SCHED_BATCH): all that a sender has to say
    comes together, which costs the agent half as much. Where a processor is free nothing changes.
    """
    with contextlib.suppress(OSError):  # a kernel without that class
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(config))


async def _serve(config: AgentConfig) -> None:
    with Netlink() as netlink:
        await Service(config, netlink, logging.getLogger("dmvpn-agent")).run()


if __name__ == "__main__":
    sys.exit(main())
