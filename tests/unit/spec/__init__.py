"""Tests of `dmvpn_lab.spec`."""
