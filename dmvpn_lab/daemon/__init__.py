"""The agent: the NHRP core run on one asyncio loop over real sockets."""
