"""Where the model looked: attention by title, what heads look at, and what the ranking owes to them."""
