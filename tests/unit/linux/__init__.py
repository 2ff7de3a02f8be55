"""Unit tests of dmvpn_lab/linux/."""
