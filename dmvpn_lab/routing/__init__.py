"""Routing protocols: one file a protocol."""
