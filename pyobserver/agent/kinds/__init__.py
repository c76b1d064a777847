"""What runs or waits beside asyncio's tasks: one module for each kind of row."""
