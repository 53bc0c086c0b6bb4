"""Things that move as one: which there are, where they go next, and the tokens that show it."""
