"""A scripted player: sweeps from side to side and fires, since what is alive shows in no RAM
variable.
"""


class Bot:
    """Holds a direction for a while, tapping the gun; a held gun fires once."""

    def __init__(self):
        self.left = 0
        self.step = 0
        self.direction = set()

    def act(self, info, rng):
        """Names of the buttons to hold for the next two frames."""
        if self.left == 0:
            self.left = int(rng.integers(3, 25))
            self.direction = (
                {("LEFT", "RIGHT")[int(rng.integers(2))]} if rng.random() < 0.8 else set()
            )
        self.left -= 1
        self.step += 1
        return self.direction | ({"B"} if self.step % 4 < 2 else set())


def make_bot():
    """A bot for one episode."""
    return Bot()
