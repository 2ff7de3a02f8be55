"""EIGRP (RFC 7868) with no socket, no asyncio and no clock."""
