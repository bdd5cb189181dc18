"""Round trips measured on this machine, for users; `bench/` at the top is for developers."""
