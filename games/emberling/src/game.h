/* What the rules share: constants, the variables of ram.s, what startup.s and
 * draw.s do for them, and what they do for each other.
 */
#include "numbers.h"            /* of cells and sprites */

typedef unsigned char u8;
typedef signed char s8;

#define TITLE 0
#define PLAY 1
#define OVER 2

#define PLAYING 0
#define DARK 1
#define DYING 2
#define REACHED 3

#define SAYS_NOTHING 0
#define SAYS_PAUSED 1
#define SAYS_OVER 2
#define SAYS_READY 3
#define SAYS_DONE 4

#define BTN_A 0x80
#define BTN_B 0x40
#define BTN_START 0x10
#define BTN_LEFT 0x02
#define BTN_RIGHT 0x01

#define BEETLE 1
#define BAT 2
#define TOAD 3
#define SQUASHED 4

#define JUMP 0x500              /* 256ths of a pixel a frame */
#define GRAVITY_HELD 0x38       /* rising with A held */

#define LIFE_POINTS 1000
#define DEEP 224                /* the line at which a fall is the end */
#define BEGIN 24                /* where a life begins in a lantern's room */
#define LEVEL_WIDTH (ROOMS * 256u)
#define WINDOW 24               /* columns of cells kept in the nametables */
#define NO_COLUMN 0xFF

/* ram.s */
extern u8 scene, phase, message, lives, level, game_over, paused, facing;
extern u8 player_y, pose, shown_scene, player_sub, player_ysub, on_ground;
extern u8 timer, lantern, layout, clock, pad, pad_before, glint, glint_y, restart;
extern unsigned score, player_x, camera_x, rng, sparks, stomps, deaths, goals;
extern unsigned next_life, glint_x;
extern int vel_x, vel_y;
extern u8 enemy_kind[24], enemy_x[24], enemy_room[24], enemy_y[24];
extern u8 enemy_dir[24], enemy_timer[24], enemy_state[24], enemy_speed[24];
extern u8 taken[16];
extern u8 hud_score[5], hud_level[2], hud_lives, hud_text[10];
extern u8 view, mask, column;

/* startup.s and draw.s */
extern const u8 rooms[];
extern u8 room_page[8], at_x, at_room, at_y, spr_tile, spr_y, spr_attr;
extern unsigned spr_x;
#pragma zpsym ("room_page")
#pragma zpsym ("at_x")
#pragma zpsym ("at_room")
#pragma zpsym ("at_y")
#pragma zpsym ("spr_tile")
#pragma zpsym ("spr_x")
#pragma zpsym ("spr_y")
#pragma zpsym ("spr_attr")

void wait_frame(void);
void read_pad(void);
void screen_on(void);
void hide_sprites(void);
void draw16(void);
void draw8(void);
void build_column(void);
void next_rng(void);
u8 cell_at(void);

/* scenery.c */
extern u8 first_column, dirty, hud_dirty;
void show_status(void);
void say(u8 what);
void gain(u8 more);
void follow(void);
u8 wanted_column(void);
void scroll(void);

/* main.c and level.c */
extern u8 pressed;
void furnish(void);

/* player.c */
void lose_life(void);
void move_player(void);
void draw_player(void);
void draw_glint(void);

/* enemies.c */
void enemies(u8 moving);
