"""The Linux that has GRE and ESP, for a host whose kernel has not."""
