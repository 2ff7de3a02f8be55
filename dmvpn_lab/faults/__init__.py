"""Ways to change the world: one file a fault, each undoes itself."""
