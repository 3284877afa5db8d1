"""Q-networks, their weights as one vector, optimizers and devices."""
