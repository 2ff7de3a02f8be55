"""Tests of what the pytest plugin hands out."""
