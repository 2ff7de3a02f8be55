"""Tests of `dmvpn_lab.machine`."""
