"""Unit tests of dmvpn_lab/node/."""
