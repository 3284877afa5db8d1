"""Every option of a run: its range, its default and its flag."""
