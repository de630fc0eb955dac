"""One map of users and items, how far it can be believed, and the groups on it."""
