/* Emberling: scenes and lives. One call of tick() a video frame.
 *
 * What a tick makes is drawn in the next frame; the variables shown_* are
 * those of the frame before, so that they and the picture agree.
 */
#include <string.h>
#include "game.h"

#define DARK_FRAMES 32
#define LIVES 3
#define MOST_LEVEL 99
#define FIRST_SEED 0x5EED
#define GROUND 192              /* a player's line on the lowest ground */

u8 pressed;                     /* buttons that went down in this frame */

/* ---- beginnings ------------------------------------------------------- */

/* From the last lantern, the screen dark until its columns are drawn. */
static void begin_life(void)
{
    phase = DARK;
    timer = DARK_FRAMES;
    mask = 0;
    view = 1;
    layout = (u8)(level - 1) % LEVELS;
    furnish();
    player_x = ((unsigned)lantern << 8) + BEGIN;
    player_y = GROUND;
    vel_x = vel_y = 0;
    player_sub = player_ysub = facing = glint = 0;
    on_ground = 1;
    pose = SPR_IDLE1;
    camera_x = 0;
    follow();
    first_column = wanted_column();
    dirty = NO_COLUMN;
    hide_sprites();
    say(SAYS_READY);
}

static void begin_level(void)
{
    memset(taken, 0, 16);
    lantern = 0;
    begin_life();
}

static void new_game(void)
{
    scene = PLAY;
    score = sparks = stomps = 0;
    next_life = LIFE_POINTS;
    lives = LIVES;
    level = 1;
    game_over = paused = 0;
    begin_level();
}

/* ---- one frame ---------------------------------------------------------- */

static void fall_out(void)
{
    static int sum;
    if (player_y < 236) {
        vel_y += GRAVITY_HELD;
        sum = vel_y + player_ysub;
        player_ysub = sum;
        player_y += sum >> 8;
        if (player_y < 40) player_y = 40;
    }
    if (--timer) return;
    if (lives) {
        begin_life();
        return;
    }
    scene = OVER;
    game_over = 1;
    say(SAYS_OVER);
}

static void next_level(void)
{
    if (--timer) return;
    if (level < MOST_LEVEL) ++level;
    begin_level();
}

/* A column a frame from the window's left end on, then a moment's rest. */
static void grow(void)
{
    static u8 done;
    done = DARK_FRAMES - timer;
    if (done < WINDOW) {
        column = first_column + done;
        build_column();
    }
    if (--timer) return;
    phase = PLAYING;
    mask = 0x1E;
    say(SAYS_NOTHING);
}

static void play(void)
{
    if (phase == DARK) {
        grow();
        if (phase == DARK) return;
    } else {
        if (phase == PLAYING && (pressed & BTN_START)) {
            paused ^= 1;
            say(paused ? SAYS_PAUSED : SAYS_NOTHING);
        }
        if (paused) return;
    }
    ++clock;
    hide_sprites();
    if (phase == PLAYING) move_player();
    else if (phase == DYING) fall_out();
    else next_level();
    if (phase == DARK) return;
    follow();
    draw_player();
    draw_glint();
    enemies(phase != REACHED);
    scroll();
}

static void title(void)
{
    ++clock;
    hide_sprites();
    spr_tile = (clock & 16) ? SPR_IDLE2 : SPR_IDLE1;
    spr_attr = 0;
    spr_x = 104;
    spr_y = GROUND - 1;
    draw16();
    if (pressed & BTN_START) new_game();
}

static void tick(void)
{
    if (!paused) {
        next_rng();
        if (pad != pad_before) rng ^= pad;
    }
    if (restart) {
        restart = 0;
        begin_life();
    } else if (scene == PLAY) play();
    else if (scene == TITLE) title();
    else if (pressed & BTN_START) new_game();
    if (hud_dirty) {
        hud_dirty = 0;
        show_status();
    }
}

void main(void)
{
    rng = FIRST_SEED;
    show_status();
    screen_on();
    for (;;) {
        wait_frame();
        read_pad();
        pressed = pad & ~pad_before;
        memcpy(&shown_scene, &scene, 16);
        tick();
    }
}
