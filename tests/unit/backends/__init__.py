"""Tests of `dmvpn_lab.backends`."""
