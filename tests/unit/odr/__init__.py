"""Tests of `dmvpn_lab.odr`."""
