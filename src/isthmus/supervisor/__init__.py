"""Starts the processes of a run, watches them, and leaves nothing of them behind."""
