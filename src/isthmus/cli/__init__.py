"""The command line: parses, wires and prints; holds no logic of its own."""
