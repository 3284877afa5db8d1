"""The upstream package behind the interface of our games."""
