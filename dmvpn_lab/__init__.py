"""DMVPN labs on plain Linux: mGRE, NHRP and a routing protocol, in one command."""

__version__ = "0.1.0"
