"""Tests of `dmvpn_lab.cli`."""
