"""NHRP (RFC 2332): a pure protocol core with no socket, no asyncio and no clock."""
