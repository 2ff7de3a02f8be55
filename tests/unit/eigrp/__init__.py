"""Tests of `dmvpn_lab.eigrp`."""
