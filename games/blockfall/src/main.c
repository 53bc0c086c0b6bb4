/* Blockfall: the rules. One call of tick() a video frame.
 *
 * Every timer is even. A player who changes buttons only every second
 * frame therefore sees every event in the first of his two frames, and
 * the picture after the second one shows all that RAM knows.
 */
#include <string.h>
#include "pieces.h"             /* piece_dx, piece_dy, rotations, after */

typedef unsigned char u8;
typedef signed char s8;

#define TITLE 0
#define PLAY 1
#define OVER 2

#define FALLING 0
#define ENTRY 1
#define CLEARING 2

#define BTN_A 0x80
#define BTN_B 0x40
#define BTN_SELECT 0x20
#define BTN_START 0x10
#define BTN_UP 0x08
#define BTN_DOWN 0x04
#define BTN_LEFT 0x02
#define BTN_RIGHT 0x01

#define SHIFT_FIRST 10
#define SHIFT_NEXT 4
#define SOFT_FRAMES 2
#define ENTRY_FRAMES 4
#define CLEAR_FRAMES 12
#define START_FRAMES 4
#define SLOWEST 20
#define FASTEST 4
#define LINES_PER_LEVEL 5
#define MAX_LEVEL 15
#define MAX_LINES 999
#define MAX_SCORE 65530u
#define FIRST_SEED 0x5EED

/* At fixed addresses, see ram.s. */
extern u8 scene, mode, game_over, paused, piece_rot, piece_type, next_type;
extern u8 level, gravity, shift, clearing, phase, lines_event, soft, dir;
extern u8 pad, pad_before, start_wait, redraw, view;
extern s8 piece_x, piece_y;
extern unsigned lines, score, pieces, rng;
extern u8 board[200], shadow[200];
extern u8 hud_score[10], hud_lines[6], hud_level[4], hud_next[8];
extern u8 hud_text[10], hud_bar;
#pragma zpsym ("shadow")

void wait_frame(void);
void read_pad(void);
void screen_on(void);

static const u8 row_start[20] = {
    0, 10, 20, 30, 40, 50, 60, 70, 80, 90,
    100, 110, 120, 130, 140, 150, 160, 170, 180, 190
};
static const u8 points[5] = { 0, 10, 30, 60, 100 };
static const unsigned powers[5] = { 10000, 1000, 100, 10, 1 };

static u8 pressed;              /* buttons that went down in this frame */
static s8 try_x, try_y;         /* the place that fits() judges */
static u8 try_rot;

/* ---- what the screen shows ------------------------------------------ */

/* Statics, not parameters: those are slow on the stack, and a frame short. */
static void digits_of(unsigned number, u8 count, u8 *tiles)
{
    static unsigned value, power;
    static u8 i, d, *out;
    value = number;
    out = tiles;
    for (i = 5 - count; i < 5; ++i) {
        power = powers[i];
        for (d = 0; value >= power; ++d) value -= power;
        out[count] = digit_low[d];
        *out++ = digit_top[d];
    }
}

static void show_numbers(void)
{
    digits_of(score, 5, hud_score);
    digits_of(lines, 3, hud_lines);
    digits_of(level, 2, hud_level);
}

static void show_next(void)
{
    u8 i, k = next_type << 4;
    memset(hud_next, TILE_EMPTY, 8);
    for (i = 0; i < 4; ++i, ++k)
        hud_next[(piece_dy[k] << 2) + piece_dx[k]] = next_type + 1;
}

/* PAUSED, GAME OVER or nothing; the panel is blank otherwise. */
static void show_text(void)
{
    if (paused) memcpy(hud_text, text_paused, 10);
    else if (game_over) memcpy(hud_text, text_over, 10);
    else memset(hud_text, TILE_EMPTY, 10);
    hud_bar = (paused || game_over) ? TILE_BAR : TILE_EMPTY;
}

/* Puts the falling piece into the shadow (or takes it out, with 0). */
static void stamp(u8 tile)
{
    static u8 i, k;
    k = (piece_type << 4) + (piece_rot << 2);
    for (i = 0; i < 4; ++i, ++k)
        shadow[row_start[(u8)(piece_y + piece_dy[k])]
               + (u8)(piece_x + piece_dx[k])] = tile;
}

static u8 row_full(u8 y)
{
    const u8 *cell = board + row_start[y];
    u8 i;
    for (i = 10; i; --i) if (!*cell++) return 0;
    return 1;
}

/* Marks the full rows in the shadow and counts them. Only the rows of the
 * piece that has just locked can be full: four at most. */
static u8 show_full_rows(void)
{
    u8 i, y = piece_y, n = 0;
    for (i = 4; i && y < 20; --i, ++y)
        if (row_full(y)) {
            memset(shadow + row_start[y], TILE_CLEAR, 10);
            ++n;
        }
    return n;
}

static void show_all(void)
{
    memcpy(shadow, board, 200); /* a cell's value is its tile number */
    if (scene == PLAY && phase == FALLING) stamp(piece_type + 1);
    if (phase == CLEARING) show_full_rows();
    show_next();
    show_numbers();
    show_text();
}

/* ---- pieces --------------------------------------------------------- */

static u8 fits(void)
{
    static u8 i, k, x, y;
    k = (piece_type << 4) + (try_rot << 2);
    for (i = 0; i < 4; ++i, ++k) {
        x = try_x + piece_dx[k];        /* left of the wall wraps to > 9 */
        y = try_y + piece_dy[k];
        if (x > 9 || y > 19 || board[row_start[y] + x]) return 0;
    }
    return 1;
}

/* Moves the piece to try_x, try_y, try_rot if it fits there. */
static u8 move(void)
{
    if (!fits()) return 0;
    stamp(TILE_EMPTY);
    piece_x = try_x;
    piece_y = try_y;
    piece_rot = try_rot;
    stamp(piece_type + 1);
    return 1;
}

static void try_here(void)
{
    try_x = piece_x;
    try_y = piece_y;
    try_rot = piece_rot;
}

/* Mode A: a fixed cycle, so NEXT tells all that follows.
 * Mode B: 16-bit xorshift. Four rounds a draw part neighbouring seeds, and
 * 65535 = 7 * 9362 + 1 keeps the remainder uniform. */
static u8 draw(u8 last)
{
    u8 i;
    if (mode == 0) return after[last];
    if (rng == 0) rng = 1;      /* 0 would stay 0; only a poke can do it */
    for (i = 0; i < 4; ++i) {
        rng ^= rng << 7;
        rng ^= rng >> 9;
        rng ^= rng << 8;
    }
    return rng % 7;
}

static void spawn(void)
{
    piece_type = next_type;
    piece_x = SPAWN_X;
    piece_y = SPAWN_Y;
    piece_rot = 0;
    gravity = 0;
    soft = SOFT_FRAMES;         /* a held DOWN goes on two frames later */
    try_here();
    if (!fits()) {              /* NEXT still shows the piece that did not fit */
        scene = OVER;
        game_over = 1;
        show_text();
        return;
    }
    phase = FALLING;
    ++pieces;
    next_type = draw(next_type);
    stamp(piece_type + 1);
    show_next();
}

static void lock(void)
{
    static u8 i, k;
    k = (piece_type << 4) + (piece_rot << 2);
    for (i = 0; i < 4; ++i, ++k)
        board[row_start[(u8)(piece_y + piece_dy[k])]
              + (u8)(piece_x + piece_dx[k])] = piece_type + 1;
    lines_event = show_full_rows();
    if (lines_event) {
        phase = CLEARING;
        clearing = CLEAR_FRAMES;
    } else {
        phase = ENTRY;
        clearing = ENTRY_FRAMES;
    }
}

static void collapse(void)
{
    u8 from = piece_y + 4, to;
    if (from > 20) from = 20;
    to = from;
    while (from > (u8)piece_y) {        /* the piece's rows, from below */
        --from;
        if (row_full(from)) continue;
        --to;
        memcpy(board + row_start[to], board + row_start[from], 10);
    }
    memmove(board + row_start[lines_event], board, row_start[piece_y]);
    memset(board, 0, row_start[lines_event]);
    lines += lines_event;
    if (lines > MAX_LINES) lines = MAX_LINES;
    if (score > MAX_SCORE - points[lines_event]) score = MAX_SCORE;
    else score += points[lines_event];
    level = lines / LINES_PER_LEVEL;
    if (level > MAX_LEVEL) level = MAX_LEVEL;
    lines_event = 0;
    memcpy(shadow, board, 200);
    show_numbers();
    phase = ENTRY;
    clearing = ENTRY_FRAMES;
}

/* ---- one frame ------------------------------------------------------ */

/* Runs in every phase, so that a held direction keeps its rhythm over a
 * spawn; without a falling piece it moves nothing. */
static void steer(void)
{
    u8 held = pad & (BTN_LEFT | BTN_RIGHT);
    if (held == (BTN_LEFT | BTN_RIGHT)) held = 0;
    if (held == BTN_LEFT) held = 1;
    else if (held == BTN_RIGHT) held = 2;
    if (held == 0) {
        dir = shift = 0;
        return;
    }
    if (held != dir) {
        dir = held;
        shift = SHIFT_FIRST;
    } else {
        if (--shift) return;
        shift = SHIFT_NEXT;
    }
    if (phase != FALLING) return;
    try_here();
    if (dir == 1) --try_x; else ++try_x;
    move();
}

static void new_game(void)
{
    memset(board, 0, 200);
    memset(shadow, TILE_EMPTY, 200);
    score = 0;
    lines = 0;
    pieces = 0;
    level = game_over = paused = dir = lines_event = clearing = 0;
    phase = ENTRY;
    scene = PLAY;
    view = 1;
    next_type = mode ? draw(0) : FIRST_A;
    steer();                    /* a direction held from before counts from here */
    spawn();
    show_numbers();
    show_text();
}

static void turn(void)
{
    u8 n = rotations[piece_type];
    try_here();
    if (pressed & BTN_A) try_rot = (try_rot + 1 == n) ? 0 : try_rot + 1;
    else if (pressed & BTN_B) try_rot = try_rot ? try_rot - 1 : n - 1;
    else return;
    if (n > 1) move();
}

static void fall(void)
{
    u8 limit = level < 8 ? SLOWEST - 2 * level : FASTEST;
    u8 down = 0;
    if (soft) --soft;
    if ((pad & BTN_DOWN) && soft == 0) { down = 1; soft = SOFT_FRAMES; }
    if (++gravity >= limit) down = 1;
    if (!down) return;
    gravity = 0;
    try_here();
    ++try_y;
    if (!move()) lock();
}

static void play(void)
{
    if (pressed & BTN_START) {
        paused ^= 1;
        show_text();
    }
    if (paused) return;
    if (phase == FALLING) turn();
    steer();
    if (phase == FALLING) fall();
    else if (--clearing == 0) {
        if (phase == CLEARING) collapse(); else spawn();
    }
}

static void title(void)
{
    if (start_wait) {
        if (--start_wait == 0) new_game();
        return;
    }
    if (pressed & BTN_START) start_wait = START_FRAMES;
    else if (pressed & BTN_SELECT) mode ^= 1;
    else if (pressed & BTN_UP) mode = 0;
    else if (pressed & BTN_DOWN) mode = 1;
}

static void tick(void)
{
    if (redraw) { redraw = 0; show_all(); }
    if (scene == PLAY) play();
    else if (scene == TITLE) title();
    else if (pressed & BTN_START) new_game();
}

void main(void)
{
    rng = FIRST_SEED;
    screen_on();
    for (;;) {
        wait_frame();
        read_pad();
        pressed = pad & ~pad_before;
        tick();
    }
}
