"""The program as its user has it: commands on this host, which send to the machine what needs GRE."""
