"""DQN with Meta-Experience Replay, for reinforcement learning on a stream that changes."""
