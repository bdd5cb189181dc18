"""Finds what is wrong with a machine's Pythons, and says how to mend it."""
