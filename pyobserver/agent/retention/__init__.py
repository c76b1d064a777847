"""What a task retains: the bytes that would be freed if it went away, told by counting references."""
