"""Tests of `dmvpn_lab.render`."""
