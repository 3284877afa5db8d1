"""Autograd's arithmetic written out for a CPU. Without this folder everything still works."""
