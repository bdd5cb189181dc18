"""Keeps the simulator's modules out of the policy's process."""
