"""Tests that run on any kernel, in seconds; they mirror the package."""
