"""Environments that are made: from locks, requirements and uv projects, by uv or pip."""
