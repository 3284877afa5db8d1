"""The same arithmetic as autograd's, written out for a CPU. Without this folder everything still works."""
