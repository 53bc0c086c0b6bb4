"""A scripted player: moves its paddle to where the ball is, by RAM variables, and misses now and
then.
"""

MIDDLE = 7  # ball_y - player_y when the ball is level with the paddle's middle
SLACK = 3  # rows: a step moves the paddle by up to 11, so a smaller error is left alone


class Bot:
    """Meets the ball with another part of the paddle each time, which sends it off at another
    angle.
    """

    def __init__(self):
        self.ball_x = 0
        self.coming = False
        self.aim = 0  # rows between the ball and the paddle's middle
        self.smash = False

    def act(self, info, rng):
        """Names of the buttons to hold for the next two frames."""
        coming = info["ball_x"] > self.ball_x
        if coming and not self.coming:
            # The paddle's ends send the ball off most steeply, and beyond 10 it misses.
            self.aim = rng.choice([-6, 6]) + rng.normal(0, 2)
            self.smash = rng.random() < 0.6
        self.ball_x, self.coming = info["ball_x"], coming
        if not info["ball_y"] or not coming:
            return set()
        error = info["ball_y"] - info["player_y"] - MIDDLE + self.aim
        buttons = {"FIRE"} if self.smash else set()
        if abs(error) > SLACK:
            buttons.add("LEFT" if error > 0 else "RIGHT")
        return buttons


def make_bot():
    """A bot for one episode."""
    return Bot()
