"""Tests of `dmvpn_lab.checks`."""
