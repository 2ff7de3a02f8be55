"""Tests of the NHRP core."""
