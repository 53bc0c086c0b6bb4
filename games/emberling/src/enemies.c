/* The enemies: what they do is the generator's choice and the player's doing. */
#include "game.h"

#define BOUNCE 0x340            /* off a stomped enemy; JUMP with A held */
#define SQUASHED_FRAMES 20

static const u8 points[4] = { 0, 20, 50, 30 };

static u8 n;                    /* the enemy that these work on, */
static unsigned ex;             /* its place */
static u8 ey;
static int away;                /* from it to the player, */
static u8 apart;                /* and how far, 255 at most */
static u8 below;                /* the player's line, less its own */

/* The cell `ahead` pixels into it from behind, at at_y. */
static u8 cell_ahead(u8 ahead)
{
    static unsigned x;
    x = enemy_dir[n] ? ex + 15 - ahead : ex + ahead;
    at_x = x;
    at_room = x >> 8;
    return cell_at();
}

static void go(void)
{
    if (enemy_dir[n]) --ex; else ++ex;
}

/* Walks, rests and turns by chance; runs at a player near on its ground. */
static void beetle(void)
{
    static u8 chasing, r;
    chasing = apart < 80 && (u8)(below + 24) < 48;
    if (chasing) {
        if (apart > 4) enemy_dir[n] = away < 0;
        enemy_state[n] = 0;
    } else if (--enemy_timer[n] == 0) {
        r = rng;
        enemy_timer[n] = 24 + (r & 63);
        enemy_state[n] = r >> 6 == 0;
        if (r >> 6 == 1) enemy_dir[n] ^= 1;
    }
    if (enemy_state[n]) return;
    if ((clock & 1) && !(chasing && level > 1)) return;
    at_y = ey + 8;
    if (cell_ahead(15) < CELL_SOLID) {
        at_y = ey + 16;
        if (cell_ahead(12) >= CELL_LEDGE) {
            go();
            return;
        }
    }
    if (!chasing) enemy_dir[n] ^= 1;
}

/* Hangs; by chance it swoops at a player near below, then flies home. */
static void bat(void)
{
    if (enemy_state[n] == 0) {
        if (apart < 88 && below < 160 && ((u8)rng & 15) == 0) {
            enemy_state[n] = 1;
            enemy_timer[n] = 72 + ((u8)(rng >> 8) & 31);
        }
        return;
    }
    if (enemy_state[n] == 1) {
        if (apart > 2) enemy_dir[n] = away < 0;
        if ((clock & 3) || level > 2) go();
        if ((u8)rng & 3) {
            if (player_y > ey) ++ey; else if (player_y < ey) --ey;
        }
        if (--enemy_timer[n] == 0) enemy_state[n] = 2;
        return;
    }
    if (ey > enemy_speed[n]) --ey; else enemy_state[n] = 0;
    if ((u8)rng < 128) go();
    else if ((u8)rng < 136) enemy_dir[n] ^= 1;
}

/* Sits, then hops: at a player near, else by chance. */
static void toad(void)
{
    static u8 r;
    static s8 speed;
    if (enemy_state[n] == 0) {
        if (--enemy_timer[n]) return;
        r = rng;
        enemy_timer[n] = 24 + (r & 31);
        if (apart < 112) enemy_dir[n] = away < 0;
        else if (r & 32) return;
        else enemy_dir[n] = r >> 7;
        enemy_state[n] = 1;
        enemy_speed[n] = (u8)((r & 64) ? -56 : -44);
        return;
    }
    speed = enemy_speed[n];
    ey += speed >> 4;
    if (speed < 60) speed += 3;
    enemy_speed[n] = speed;
    at_y = ey + 8;
    if (cell_ahead(15) < CELL_SOLID) go();
    if (speed <= 0) return;
    if (ey >= DEEP) {
        enemy_kind[n] = 0;
        return;
    }
    at_y = ey + 16;
    if (cell_ahead(8) >= CELL_LEDGE && (at_y & 15) < 5) {
        ey = (at_y & 0xF0) - 16;
        enemy_state[n] = 0;
    }
}

static void meet(void)
{
    if (apart >= 11 || (u8)(below + 13) >= 25) return;
    if (vel_y > 0 && below >= 0xF3 && below < 0xFE) {   /* from 3 pixels above on */
        gain(points[enemy_kind[n]]);
        ++stomps;
        enemy_kind[n] = SQUASHED;
        enemy_timer[n] = SQUASHED_FRAMES;
        vel_y = (pad & BTN_A) ? -JUMP : -BOUNCE;
    } else {
        lose_life();
    }
}

static void draw_enemy(void)
{
    static u8 k, moved;
    k = enemy_kind[n];
    spr_x = ex - camera_x;
    spr_y = ey - 1;
    moved = clock & 8;
    if (k == BEETLE) {
        spr_attr = 1;
        spr_tile = (moved && !enemy_state[n]) ? SPR_BEETLE2 : SPR_BEETLE1;
    } else if (k == BAT) {
        spr_attr = 2;
        spr_tile = enemy_state[n] == 0 ? SPR_BAT_HANG : moved ? SPR_BAT2 : SPR_BAT1;
    } else if (k == TOAD) {
        spr_attr = 3;
        spr_tile = enemy_state[n] ? SPR_TOAD_LEAP : SPR_TOAD_SIT;
    } else {
        spr_attr = 1;
        spr_tile = SPR_SQUASHED;
    }
    if (enemy_dir[n]) spr_attr |= 0x40;
    draw16();
}

static void move_enemy(void)
{
    static u8 k;
    k = enemy_kind[n];
    if (k == SQUASHED) {
        if (--enemy_timer[n] == 0) enemy_kind[n] = 0;
        return;
    }
    away = player_x - ex;
    if (away < 0) apart = away < -255 ? 255 : -away;
    else apart = away > 255 ? 255 : away;
    below = player_y - ey;
    if (k == BEETLE) beetle();
    else if (k == BAT) bat();
    else toad();
    enemy_x[n] = ex;
    enemy_room[n] = ex >> 8;
    enemy_y[n] = ey;
    if (phase == PLAYING && enemy_kind[n]) meet();
}

/* Those within a screen's reach move, those in sight are drawn. */
void enemies(u8 moving)
{
    static unsigned place;
    for (n = 0; n < ENEMIES; ++n) {
        if (enemy_kind[n] == 0) continue;
        if ((u8)(enemy_room[n] + 1 - (u8)(camera_x >> 8)) > 3) continue;
        ex = enemy_x[n] | enemy_room[n] << 8;
        place = ex - camera_x + 64;
        if (place > 384) continue;
        ey = enemy_y[n];
        if (moving) move_enemy();
        if (enemy_kind[n]) draw_enemy();
    }
}
