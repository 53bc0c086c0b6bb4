"""The default family of dynamics: one network for every game, over cells of palette pixels."""
