/* The status bar, the camera and the level's columns. */
#include <string.h>
#include "game.h"
#include "texts.h"              /* digits and words as tiles */

#define MOST_LIVES 9
#define MAX_SCORE 65000u

static const unsigned powers[5] = { 10000, 1000, 100, 10, 1 };

u8 first_column;                /* of the window */
u8 dirty;                       /* a column of it to draw anew */
u8 hud_dirty;                   /* the status bar is to be made anew */

/* Statics, not parameters: those are slow on the stack, and a frame short. */
void show_status(void)
{
    static unsigned value, power;
    static u8 i, d;
    static const u8 *words;
    value = score;
    for (i = 0; i < 5; ++i) {
        power = powers[i];
        for (d = 0; value >= power; ++d) value -= power;
        hud_score[i] = digit[d];
    }
    i = level;
    for (d = 0; i >= 10; ++d) i -= 10;
    hud_level[0] = digit[d];
    hud_level[1] = digit[i];
    hud_lives = digit[lives];
    if (message == SAYS_PAUSED) words = text_paused;
    else if (message == SAYS_OVER) words = text_over;
    else if (message == SAYS_READY) words = text_ready;
    else if (message == SAYS_DONE) words = text_done;
    else words = text_none;
    memcpy(hud_text, words, 10);
}

void say(u8 what)
{
    message = what;
    hud_dirty = 1;
}

void gain(u8 more)
{
    hud_dirty = 1;
    if (score > MAX_SCORE - more) return;
    score += more;
    if (score >= next_life) {
        next_life += LIFE_POINTS;
        if (lives < MOST_LIVES) ++lives;
    }
}

/* ---- camera and columns ---------------------------------------------- */

void follow(void)
{
    if (player_x > camera_x + 136) camera_x = player_x - 136;
    else if (player_x < camera_x + 104) camera_x = player_x > 104 ? player_x - 104 : 0;
    if (camera_x > LEVEL_WIDTH - 256) camera_x = LEVEL_WIDTH - 256;
}

u8 wanted_column(void)
{
    static u8 c;
    c = camera_x >> 4;
    if (c < 4) return 0;
    c -= 4;
    return c > ROOMS * 16 - WINDOW ? ROOMS * 16 - WINDOW : c;
}

/* At most one column a frame, which is 16 pixels: the player makes 3. */
void scroll(void)
{
    static u8 wanted;
    if (dirty != NO_COLUMN) {
        column = dirty;
        dirty = NO_COLUMN;
        build_column();
        return;
    }
    wanted = wanted_column();
    if (wanted > first_column) {
        column = first_column + WINDOW;
        ++first_column;
        build_column();
    } else if (wanted < first_column) {
        column = --first_column;
        build_column();
    }
}
