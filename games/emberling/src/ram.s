; The game's variables at fixed addresses. Add new ones at the end of a
; block only: data.json and recorded episodes name these addresses.

.macro var name, size
        .export name
name:   .res size
.endmacro

.segment "SPRITES"              ; $0200 what the next vblank hands to the PPU
        var _oam, 256

.segment "VARS"                 ; $0300
        var _scene, 1           ; $0300 0 title, 1 play, 2 game over
        var _phase, 1           ; $0301 0 playing, 1 dark, 2 dying, 3 goal reached
        var _message, 1         ; $0302 0 none, 1 paused, 2 game over, 3 ready, 4 done
        var _lives, 1           ; $0303 the one being played included
        var _level, 1           ; $0304 from 1
        var _game_over, 1       ; $0305
        var _paused, 1          ; $0306
        var _facing, 1          ; $0307 0 right, 1 left
        var _score, 2           ; $0308
        var _player_x, 2        ; $030A left edge of the 16 x 16 sprite in the level
        var _player_y, 1        ; $030C its top line on the screen
        var _pose, 1            ; $030D the player's sprite: its first tile
        var _camera_x, 2        ; $030E the level's column at the screen's left edge
        ; The same sixteen bytes as the picture shows them: one frame older.
        var _shown_scene, 1     ; $0310
        var _shown_phase, 1     ; $0311
        var _shown_message, 1   ; $0312
        var _shown_lives, 1     ; $0313
        var _shown_level, 1     ; $0314
        var _shown_game_over, 1 ; $0315
        var _shown_paused, 1    ; $0316
        var _shown_facing, 1    ; $0317
        var _shown_score, 2     ; $0318
        var _shown_x, 2         ; $031A
        var _shown_y, 1         ; $031C
        var _shown_pose, 1      ; $031D
        var _shown_camera, 2    ; $031E
        var _player_sub, 1      ; $0320 256ths of a pixel
        var _player_ysub, 1     ; $0321
        var _vel_x, 2           ; $0322 signed, 256ths of a pixel a frame
        var _vel_y, 2           ; $0324
        var _on_ground, 1       ; $0326
        var _timer, 1           ; $0327 frames left of a phase that ends by itself
        var _lantern, 1         ; $0328 room of the last lantern passed
        var _layout, 1          ; $0329 which rooms: (level - 1) modulo 3
        var _rng, 2             ; $032A never 0; moves every frame, stirred by buttons
        var _sparks, 2          ; $032C sparks taken in this game
        var _stomps, 2          ; $032E enemies stomped in this game
        var _deaths, 2          ; $0330 lives lost since power-on
        var _goals, 2           ; $0332 levels finished since power-on
        var _next_life, 2       ; $0334 score that gives the next life
        var _clock, 1           ; $0336 frames played, for the animations
        var _pad, 1             ; $0337 buttons now
        var _pad_before, 1      ; $0338 buttons one frame ago
        var _lag, 1             ; $0339 frames whose logic came late (always 0)
        var _glint, 1           ; $033A frames left of the glint where a spark was
        var _glint_x, 2         ; $033B
        var _glint_y, 1         ; $033D
        var _restart, 1         ; $033E poke 1: life begins anew with level, lantern as poked

.segment "FOES"                 ; $0400 three for each of the level's eight rooms
        var _enemy_kind, 24     ; 0 none, 1 beetle, 2 bat, 3 toad, 4 squashed
        var _enemy_x, 24        ; place in the level: 256 x enemy_room + enemy_x
        var _enemy_room, 24
        var _enemy_y, 24
        var _enemy_dir, 24      ; 0 right, 1 left
        var _enemy_timer, 24    ; frames to its next choice
        var _enemy_state, 24
        var _enemy_speed, 24    ; toad: signed 16ths of a pixel a frame, downwards
        var _taken, 16          ; $04C0 sparks taken, a bit a column of the level

.segment "SHADOW"               ; $0500 what the next vblank draws
        var _hud_score, 5
        var _hud_level, 2
        var _hud_lives, 1
        var _hud_text, 10
        var _view, 1            ; 0 title, 1 status bar and level
        var _mask, 1            ; PPUMASK below the status bar
        var _ready, 1           ; all is complete, vblank may draw it
        var _column, 1          ; column of cells to draw in the level
        var _column_ready, 1    ; it is in the buffers below
        var _left, 26           ; its tiles
        var _right, 26
        var _palettes, 28       ; every second byte
        var _bits, 7            ; its attribute bytes
        var _at, 3              ; nametable's high byte, column of tiles, attribute's low byte
        .res 14
        var _attributes, 128    ; both nametables'
