"""Loops that Numba compiles; they import nothing of this package."""
