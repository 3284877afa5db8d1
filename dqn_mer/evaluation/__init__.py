"""Play of a saved or learning agent."""
