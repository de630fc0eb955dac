"""A map of items and users to look into."""
