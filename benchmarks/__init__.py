"""Speed and memory, measured against peers: each module is one command."""
