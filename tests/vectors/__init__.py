"""Packets that real routers sent."""
