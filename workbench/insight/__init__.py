"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""
