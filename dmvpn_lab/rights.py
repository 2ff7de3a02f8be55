"""What a node may do: the capabilities of its container, and why. Never `privileged`."""

from __future__ import annotations

CAPABILITIES = {
    "NET_ADMIN": 12,  # interfaces, addresses, routes, neighbours, nftables
    "NET_RAW": 13,  # packet sockets: NHRP, OSPF, DHCP, tcpdump, ping
    "SYS_ADMIN": 21,  # FRR's zebra does not start without it
    "NET_BIND_SERVICE": 10,  # the ISP's DHCP server, port 67; BGP, port 179
    "CHOWN": 0,  # /run/frr belongs to frr
    "DAC_OVERRIDE": 1,  # files of frr and dhcpcd, read and written by root
    "FOWNER": 3,
    "SETUID": 7,  # FRR and dhcpcd give up root
    "SETGID": 6,
    "SYS_CHROOT": 18,  # dhcpcd's own cage
    "KILL": 5,  # the first process ends its services
}
"""Name -> number (linux/capability.h)."""
