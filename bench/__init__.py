"""The project's speed, as ratios measured side by side: `python -m bench`, or `make bench`."""
