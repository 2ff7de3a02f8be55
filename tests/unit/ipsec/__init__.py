"""Tests of the core of tunnel protection."""
