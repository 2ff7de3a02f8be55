"""The tests of dmvpn-lab."""
