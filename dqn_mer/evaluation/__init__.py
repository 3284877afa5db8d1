"""A saved or learning agent at play."""
