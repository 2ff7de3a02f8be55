"""Containers: the node image, and the Docker engine that runs it."""
