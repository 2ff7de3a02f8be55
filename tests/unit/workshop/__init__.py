"""Unit tests of workshops."""
