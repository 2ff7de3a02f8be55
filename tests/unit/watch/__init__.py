"""Watch: the model of a lab, and its views."""
