"""What we know about the target: rows, nodes, readings and their history. No input and no output."""
