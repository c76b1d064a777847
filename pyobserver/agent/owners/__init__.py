"""Who owns a task: who waits for it, told by its callbacks, and who holds it, found by a walk through the heap."""
