/* The player: running, jumping, what he touches and how he ends. */
#include "game.h"

#define WALK 0x180              /* 256ths of a pixel a frame */
#define DASH 0x280
#define PUSH 0x20               /* more or less of it a frame */
#define GRAVITY_CUT 0x90        /* rising without */
#define GRAVITY 0x58
#define FASTEST_FALL 0x480
#define DYING_FRAMES 56
#define REACHED_FRAMES 72
#define GLINT_FRAMES 12
#define SPARK_POINTS 10
#define GOAL_POINTS 100

static const u8 run_pose[4] = { SPR_RUN1, SPR_RUN2, SPR_RUN3, SPR_RUN2 };
static const u8 bit_of[8] = { 1, 2, 4, 8, 16, 32, 64, 128 };

static u8 probe(void)
{
    return cell_at() >= CELL_SOLID;
}

void lose_life(void)
{
    phase = DYING;
    timer = DYING_FRAMES;
    vel_y = -0x300;
    pose = SPR_OUT;
    ++deaths;
    --lives;
    hud_dirty = 1;
}

static void steer(void)
{
    static int most;
    most = (pad & BTN_B) ? DASH : WALK;
    switch (pad & (BTN_LEFT | BTN_RIGHT)) {
    case BTN_RIGHT:
        facing = 0;
        break;
    case BTN_LEFT:
        facing = 1;
        most = -most;
        break;
    default:
        most = 0;
    }
    if (vel_x < most) {
        vel_x += PUSH;
        if (vel_x > most) vel_x = most;
    } else if (vel_x > most) {
        vel_x -= PUSH;
        if (vel_x < most) vel_x = most;
    }
}

/* His body is 10 pixels wide, from the fourth of the sprite's 16 on. */
static void move_aside(void)
{
    static int sum;
    static s8 step;
    static unsigned edge;
    sum = vel_x + player_sub;
    player_sub = sum;
    step = sum >> 8;
    if (step == 0) return;
    player_x += step;
    if (step > 0) {
        edge = player_x + 12;
    } else {
        if (player_x > LEVEL_WIDTH) player_x = vel_x = player_sub = 0;
        edge = player_x + 3;
    }
    at_x = edge;
    at_room = edge >> 8;
    at_y = player_y + 3;
    if (!probe()) {
        at_y = player_y + 14;
        if (!probe()) return;
    }
    if (step > 0) player_x = (edge & 0xFFF0) - 13;
    else player_x = (edge | 15) - 2;
    vel_x = player_sub = 0;
}

/* The two ends of his feet, or of his head. */
static u8 left_at, left_room, right_at, right_room;

static void body_ends(void)
{
    static unsigned edge;
    edge = player_x + 4;
    left_at = edge;
    left_room = edge >> 8;
    edge += 7;
    right_at = edge;
    right_room = edge >> 8;
}

static u8 higher_cell(void)
{
    static u8 one, other;
    at_x = left_at;
    at_room = left_room;
    one = cell_at();
    at_x = right_at;
    at_room = right_room;
    other = cell_at();
    return one > other ? one : other;
}

static void move_up_down(void)
{
    static int sum;
    static u8 before, c;
    if (vel_y < 0) vel_y += (pad & BTN_A) ? GRAVITY_HELD : GRAVITY_CUT;
    else vel_y += GRAVITY;
    if (vel_y > FASTEST_FALL) vel_y = FASTEST_FALL;
    before = player_y;
    sum = vel_y + player_ysub;
    player_ysub = sum;
    player_y += sum >> 8;
    body_ends();
    on_ground = 0;
    if (vel_y < 0) {
        at_y = player_y + 2;
        if (higher_cell() < CELL_SOLID) return;
        player_y = (at_y | 15) - 1;
    } else {
        at_y = player_y + 16;
        c = higher_cell();
        if (c < CELL_LEDGE) return;
        at_y &= 0xF0;
        /* a ledge holds only him whose feet were not below it */
        if (c < CELL_SOLID && at_y < (u8)(before + 16)) return;
        player_y = at_y - 16;
        on_ground = 1;
    }
    vel_y = player_ysub = 0;
}

/* Sparks, water, spikes, lanterns and the hearth. */
static void touch(void)
{
    static u8 c, i;
    static unsigned middle;
    middle = player_x + 8;
    at_x = middle;
    at_room = middle >> 8;
    for (i = 4; i < 16; i += 9) {
        at_y = player_y + i;
        c = cell_at();
        if (c == CELL_ITEM) {
            c = middle >> 4;
            if (taken[c >> 3] & bit_of[c & 7]) continue;
            taken[c >> 3] |= bit_of[c & 7];
            dirty = c;
            ++sparks;
            glint = GLINT_FRAMES;
            glint_x = (middle & 0xFFF0) + 4;
            glint_y = (at_y & 0xF0) + 3;
            gain(SPARK_POINTS);
        } else if (c == CELL_GOAL || c == CELL_HEARTH) {
            phase = REACHED;
            timer = REACHED_FRAMES;
            dirty = middle >> 4;
            ++goals;
            gain(GOAL_POINTS);
            say(SAYS_DONE);
            return;
        } else if (c >= CELL_DEADLY && c < CELL_LEDGE && i > 4 && (at_y & 15) > 4) {
            lose_life();
            return;
        }
    }
    if (at_room > lantern && at_x >= BEGIN) {
        lantern = at_room;
        dirty = (at_room << 4) + 1;
    }
}

static void strike_pose(void)
{
    if (!on_ground) pose = vel_y < 0 ? SPR_JUMP : SPR_FALL;
    else if (vel_x == 0) pose = (clock & 16) ? SPR_IDLE2 : SPR_IDLE1;
    else pose = run_pose[(u8)(clock >> 2) & 3];
}

void move_player(void)
{
    steer();
    if ((pressed & BTN_A) && on_ground) vel_y = -JUMP;
    move_aside();
    move_up_down();
    strike_pose();
    if (player_y >= DEEP) {
        lose_life();
        return;
    }
    touch();
}

void draw_player(void)
{
    if (player_y >= 236) return;
    spr_tile = pose;
    spr_attr = facing ? 0x40 : 0;
    spr_x = player_x - camera_x;
    spr_y = player_y - 1;
    draw16();
}

void draw_glint(void)
{
    if (glint == 0) return;
    --glint;
    spr_tile = glint > GLINT_FRAMES / 2 ? SPR_SPARK1 : SPR_SPARK2;
    spr_attr = 1;
    spr_x = glint_x - camera_x;
    spr_y = glint_y;
    draw8();
}
