"""Events: one writer off the hot path, files that rotate, and a reader of them."""
