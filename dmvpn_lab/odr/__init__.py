"""ODR: routes in CDP packets, with no socket, no asyncio and no clock."""
