"""Files and state that survive a kill; this room knows nothing of learning."""
