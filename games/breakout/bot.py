"""A scripted player: serves, keeps its paddle under the ball by RAM variables, and misses now and
then.
"""

MIDDLE = 9  # ball_x - player_x when the ball is above the middle of the wide paddle
SLACK = 3  # columns: a step moves the paddle by up to 12, so a smaller error is left alone


class Bot:
    """Meets the ball with another part of the paddle each time, which sends it off at another
    angle.
    """

    def __init__(self):
        self.ball_y = 0
        self.falling = False
        self.aim = 0  # columns between the paddle's middle and the ball

    def act(self, info, rng):
        """Names of the buttons to hold for the next two frames."""
        falling = info["ball_y"] > self.ball_y
        if falling and not self.falling:
            self.aim = rng.normal(0, 4)  # beyond 9 the paddle misses
        self.ball_y, self.falling = info["ball_y"], falling
        if not info["ball_y"]:
            return {"FIRE"} if rng.random() < 0.2 else set()
        error = info["ball_x"] - info["player_x"] - MIDDLE + self.aim
        if abs(error) <= SLACK:
            return set()
        return {"RIGHT" if error > 0 else "LEFT"}


def make_bot():
    """A bot for one episode."""
    return Bot()
