"""What a lab and the things in it may be called."""

from __future__ import annotations

NAME = r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"
"""Names become host names, container names and Kubernetes names (RFC 1123)."""
