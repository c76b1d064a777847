"""What is known, written down: the snapshot as JSON and as text."""
