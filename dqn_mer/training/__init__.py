"""One training run, from its folder to its summary."""
