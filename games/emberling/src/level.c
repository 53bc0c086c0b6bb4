/* The rooms of a level and the enemies that stand in them at first. */
#include "game.h"
#include "rooms.h"              /* which rooms, which enemies */

void furnish(void)
{
    static u8 i, room, k, from;
    i = 0;
    for (room = 0; room < ROOMS; ++room) {
        from = level_rooms[(u8)(layout * ROOMS + room)];
        room_page[room] = ((unsigned)rooms >> 8) + from;
        from *= A_ROOM;
        for (k = 0; k < A_ROOM; ++k, ++i, ++from) {
            enemy_kind[i] = spawn_kind[from] & ~LATE;
            if ((spawn_kind[from] & LATE) && level <= LEVELS) enemy_kind[i] = 0;
            enemy_room[i] = room;
            enemy_x[i] = spawn_place[from] & 0xF0;
            enemy_y[i] = spawn_place[from] << 4;
            enemy_dir[i] = 1;
            enemy_timer[i] = 32 + (u8)(i << 3);
            enemy_state[i] = 0;
            enemy_speed[i] = enemy_kind[i] == BAT ? enemy_y[i] : 0;
        }
    }
}
