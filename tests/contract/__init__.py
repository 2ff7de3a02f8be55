"""What every backend must do: the same tests over each, on live labs."""
