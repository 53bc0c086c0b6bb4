; The game's variables at fixed addresses. Add new ones at the end of a
; block only: data.json and recorded episodes name these addresses.

.macro var name, size
        .export name
name:   .res size
.endmacro

.segment "VARS"                 ; $0300
        var _scene, 1           ; $0300 0 title, 1 play, 2 game over
        var _mode, 1            ; $0301 0 A, 1 B (also the title's cursor)
        var _game_over, 1       ; $0302
        var _paused, 1          ; $0303
        var _piece_x, 1         ; $0304 signed: left column of the piece's box
        var _piece_y, 1         ; $0305 signed: top row of the piece's box
        var _piece_rot, 1       ; $0306
        var _piece_type, 1      ; $0307
        var _next_type, 1       ; $0308
        var _level, 1           ; $0309
        var _gravity, 1         ; $030A frames since the last row drop
        var _shift, 1           ; $030B frames to the next auto-shift
        var _clearing, 1        ; $030C frames left of clearing / entry delay
        var _phase, 1           ; $030D 0 falling, 1 entry delay, 2 clearing
        var _lines, 2           ; $030E
        var _score, 2           ; $0310
        .res 2
        var _pieces, 2          ; $0314 pieces spawned in this game
        var _rng, 2             ; $0316 never 0; moves only on a draw
        var _lines_event, 1     ; $0318 full rows while they are clearing
        var _soft, 1            ; $0319 frames to the next soft drop
        var _dir, 1             ; $031A direction held: 0 none, 1 left, 2 right
        var _pad, 1             ; $031B buttons now
        var _pad_before, 1      ; $031C buttons one frame ago
        var _start_wait, 1      ; $031D frames from START on the title to play
        var _redraw, 1          ; $031E poke 1 after poking RAM: redraws all
        var _lag, 1             ; $031F frames whose logic came late (always 0)

.segment "CELLS"                ; $0400 locked cells, 0 or piece type + 1
        var _board, 200

.segment "SHADOW"               ; $0500 tile numbers that the next vblank draws
        var _hud_score, 10      ; tops, then bottoms of the digits
        var _hud_lines, 6
        var _hud_level, 4
        var _hud_next, 8        ; 4 x 2
        var _hud_text, 10
        var _hud_bar, 1         ; above and below the text
        var _view, 1            ; nametable shown: 0 title, 1 play
        var _ready, 1           ; the shadow is complete, vblank may draw it

.segment "ZEROPAGE"             ; a cycle a cell faster than elsewhere
        .exportzp _shadow
_shadow: .res 200               ; the well
