"""Tunnel protection: which peers need an IPsec SA, and what to ask of charon. Pure: no I/O, no clock."""
