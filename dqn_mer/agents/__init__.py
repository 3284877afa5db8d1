"""The agents: DQN, and the variants that differ from it in memory or replay step."""
