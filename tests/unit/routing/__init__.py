"""Tests of `dmvpn_lab.routing`."""
