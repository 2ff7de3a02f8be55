"""Unit tests of dmvpn_lab/daemon/."""
