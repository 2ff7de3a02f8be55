"""What a node may do: the capabilities of its container, and why. Never `privileged`."""

from __future__ import annotations

CAPABILITIES = (
    "NET_ADMIN",  # interfaces, addresses, routes, neighbours, nftables
    "NET_RAW",  # packet sockets: NHRP, OSPF, DHCP, tcpdump, ping
    "SYS_ADMIN",  # FRR's zebra does not start without it
    "NET_BIND_SERVICE",  # the ISP's DHCP server, port 67; BGP, port 179
    "CHOWN",  # /run/frr belongs to frr
    "DAC_OVERRIDE",  # files of frr and dhcpcd, read and written by root
    "FOWNER",
    "SETUID",  # FRR and dhcpcd give up root
    "SETGID",
    "SYS_CHROOT",  # dhcpcd's own cage
    "KILL",  # the first process ends its services
)
