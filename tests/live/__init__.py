"""Tests that need a kernel with GRE."""
