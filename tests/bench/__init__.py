"""`make bench`: figures of the agent and of whole labs, one file a measurement."""
