"""DHCP on the access lines: dnsmasq on the ISP's side, dhcpcd on the router's."""

from __future__ import annotations

from dmvpn_lab.spec.plan_types import AccessPlan

LEASE_S = 120
"""The shortest that dnsmasq gives."""
CLIENT_PATH = "/etc/dmvpn-lab/dhcpcd.conf"


def server_path(access: AccessPlan) -> str:
    """Where the configuration of a line's DHCP server is, in the ISP router."""
    return f"/etc/dmvpn-lab/dhcp-{access.isp_interface}.conf"


def server_ready(access: AccessPlan) -> str:
    """The PID file of a line's DHCP server: it serves when this is there."""
    return f"/run/dmvpn-lab/dhcp-{access.isp_interface}.pid"


def server_log(access: AccessPlan) -> str:
    """Where a line's DHCP server logs: to a file, so that it holds nobody's pipe when it goes on alone."""
    return f"/run/dmvpn-lab/log/dhcp-{access.isp_interface}.log"


def server_argv(access: AccessPlan) -> tuple[str, ...]:
    """One server a line: its address can change without touching the others."""
    return ("dnsmasq", "--keep-in-foreground", f"--conf-file={server_path(access)}")


def server(access: AccessPlan) -> str:
    """The configuration of a line's DHCP server: one customer, one address."""
    network = access.customer.network
    return "\n".join(
        [
            "port=0",
            f"interface={access.isp_interface}",
            "bind-interfaces",
            "dhcp-authoritative",
            "no-ping",
            "user=root",
            f"pid-file={server_ready(access)}",
            "leasefile-ro",
            f"dhcp-range={network.network_address},static,{network.netmask},{LEASE_S}",
            f"dhcp-host={access.customer_mac},{access.customer.ip}",
            f"dhcp-option=option:router,{access.gateway.ip}",
            "dhcp-option=option:dns-server",
            "log-dhcp",
            f"log-facility={server_log(access)}",
            "",
        ]
    )


def client(interface: str) -> tuple[str, tuple[str, ...]]:
    """dhcpcd's configuration and argv: a lease at once, nothing but IPv4, nothing to the host."""
    text = "\n".join(
        [
            "noarp",
            "noipv6",
            "noipv4ll",
            "nohook resolv.conf, hostname, timesyncd, ntp.conf",
            "option subnet_mask, routers",
            "require dhcp_server_identifier",
            "reboot 0",
            "timeout 0",
            "",
        ]
    )
    return text, ("dhcpcd", "--nobackground", "--ipv4only", "--config", CLIENT_PATH, interface)
