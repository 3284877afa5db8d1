"""Parts of every run, of an agent or on a supervised stream: its folder, its events, and how it stops."""
