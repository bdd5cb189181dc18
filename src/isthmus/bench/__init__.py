"""Round trips measured on this machine, for users; `bench/` measures for its developers."""
