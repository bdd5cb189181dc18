"""Where values come from: their canonical form, and the hash of a randomization. Pure."""
