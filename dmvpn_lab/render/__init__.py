"""From a plan to the text of the files in the nodes."""
