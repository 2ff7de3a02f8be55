"""A class: its doors, its terminals, its end."""
