"""Tests of the node image."""
