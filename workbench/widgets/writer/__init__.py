"""Read what the model writes, and whether it is true."""
