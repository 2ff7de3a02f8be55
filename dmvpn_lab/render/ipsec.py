"""strongSwan in a protected router: charon's own settings and program; the rest goes over VICI."""

from __future__ import annotations

from typing import Any

from dmvpn_lab.render import credentials
from dmvpn_lab.render.identity import domain, identity
from dmvpn_lab.routing.base import Program
from dmvpn_lab.spec.plan_types import IpsecPlan, NodePlan, Plan

PATH = "/etc/strongswan.conf"
READY = "/run/charon.vici"
IKE_LIFETIME_S = 14400
PLUGINS = "random nonce openssl kernel-netlink socket-default vici pem pkcs1 x509 pubkey constraints"


def protection(plan: Plan, node: NodePlan) -> IpsecPlan | None:
    """The protection of a router's tunnels: all have the same one, or none."""
    return plan.cloud(node.tunnels[0].cloud).ipsec if node.tunnels else None


def strongswan_conf() -> str:
    """charon without routes and configuration files.

    It sends again after 0.5, 0.75 and then each second, and gives a peer up after ten: a hub that is
    asked by all spokes at once may take seconds to answer, and an attempt that begins anew meanwhile
    leaves it with SAs that nobody else has. A short outage of the underlay ends no SA.

    No `cert_cache`: a peer whose certificate has expired would be let in by an earlier one of the
    same key, which the cache remembers. What is presented is what is judged.
    """
    return "\n".join(
        [
            "charon {",
            f"  load = {PLUGINS}",
            "  install_routes = no",
            "  cert_cache = no",
            "  retransmit_tries = 10",
            "  retransmit_timeout = 0.5",
            "  retransmit_base = 1.5",
            "  retransmit_limit = 1",
            "  filelog {",
            "    stderr {",
            "      path = stderr",
            "      default = 1",
            "      ike_name = yes",
            '      time_format = "%Y-%m-%d %H:%M:%S"',
            "      flush_line = yes",
            "    }",
            "  }",
            "  plugins {",
            "    vici {",
            f"      socket = unix://{READY}",
            "    }",
            "  }",
            "}",
            "",
        ]
    )


def program() -> Program:
    """charon, for as long as the node lives."""
    return Program("charon", ("/usr/lib/ipsec/charon",), ready=READY, restart=True)


def files(plan: Plan, node: NodePlan) -> dict[str, str]:
    """What charon and the agent read; nothing in a router without protection."""
    profile = protection(plan, node)
    if profile is None:
        return {}
    return {PATH: strongswan_conf(), **credentials.files(plan, node, profile)}


def agent(plan: Plan, node: NodePlan) -> dict[str, Any] | None:
    """The agent's `ipsec` section. Read by `daemon/config.py`."""
    profile = protection(plan, node)
    if profile is None:
        return None
    certificates = profile.authentication == "certificates"
    return {
        "source": node.tunnels[0].source,
        "identity": identity(plan, node),
        "ike": profile.ike,
        "proposals": [profile.ike_proposal],
        "esp_proposals": [profile.esp_proposal],
        "authentication": "pubkey" if certificates else "psk",
        "secrets": credentials.secrets(plan, node, profile),
        "certificates": [credentials.CA, credentials.CERTIFICATE, credentials.KEY] if certificates else [],
        "peers": _peers(plan),
        "peer_identity": f"*.{domain(plan)}" if certificates else "%any",
        "responds": any(each.role == "hub" or plan.cloud(each.cloud).phase > 1 for each in node.tunnels),
        "dpd_s": profile.dpd_s,
        "lifetime_s": profile.lifetime_s,
        "ike_lifetime_s": IKE_LIFETIME_S,
    }


def _peers(plan: Plan) -> dict[str, str]:
    """NBMA address -> identity of each router whose address is known: the hubs."""
    found = {}
    for router in plan.routers():
        interface = router.nbma_interface()
        if not interface.dhcp and interface.address is not None:
            found[str(interface.address.ip)] = identity(plan, router)
    return found
