"""Tests of `dmvpn_lab.faults`."""
