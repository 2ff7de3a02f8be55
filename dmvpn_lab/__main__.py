"""The `dmvpn-lab` command: runs here, or hands the command to the machine."""
