"""Where the model looked, recommendation by recommendation."""
