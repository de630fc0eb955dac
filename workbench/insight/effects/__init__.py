"""What moves a score: effects of the words of a prompt, measured, and how far explanations agree with them."""
