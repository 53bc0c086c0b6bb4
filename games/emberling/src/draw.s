; What the rules need often: the generator, the level's cells, sprites, and the
; columns that scroll in.

        .include "layout.inc"   ; numbers of cells and of sprite 0

        .import _oam, _column, _column_ready, _left, _right, _palettes, _bits
        .import _at, _attributes, _taken, _rng, _phase, _lantern
        .export _next_rng, _cell_at, _hide_sprites, _draw16, _draw8, _build_column
        .exportzp _room_page, _at_x, _at_room, _at_y
        .exportzp _spr_tile, _spr_x, _spr_y, _spr_attr

SPLIT_LINE = 27                 ; sprite 0 meets the last line of the status bar's edge

        .segment "ZEROPAGE"
cell:   .res 2                  ; its low byte stays 0: a room fills a page
next:   .res 1                  ; first free byte of the sprites
side:   .res 1
row:    .res 1
gone:   .res 1                  ; the column's spark is taken
_room_page: .res 8              ; high byte of the cells of each room of the level
_at_x:  .res 1                  ; cell_at's place: the column in a room, the room,
_at_room: .res 1                ; and the line
_at_y:  .res 1
_spr_tile: .res 1
_spr_x: .res 2                  ; place on the screen, signed
_spr_y: .res 1
_spr_attr: .res 1

        .segment "ROOMS"
        .export _rooms
_rooms: .incbin "rooms.bin"

        .segment "RODATA"
bit_of: .byte 1, 2, 4, 8, 16, 32, 64, 128
        .include "tables.inc"

        .segment "CODE"
; void next_rng(void): one step of a 16-bit xorshift (7, 9, 8).
_next_rng:
        lda _rng
        ora _rng+1
        bne :+
        inc _rng                ; 0 would stay 0; only a poke can do it
:       lda _rng+1
        lsr a
        lda _rng
        ror a
        eor _rng+1
        sta _rng+1
        ror a
        eor _rng
        sta _rng
        eor _rng+1
        sta _rng+1
        rts

; unsigned char cell_at(void): the cell at at_room, at_x, at_y. Beyond the
; level's ends it is rock.
_cell_at:
        ldx _at_room
        cpx #8
        bcs :+
        lda _room_page,x
        sta cell+1
        lda _at_y
        lsr a
        lsr a
        lsr a
        lsr a
        sta side
        lda _at_x
        and #$F0
        ora side
        tay
        ldx #0
        lda (cell),y
        rts
:       lda #$FF
        ldx #0
        rts

; void hide_sprites(void): none but sprite 0, which makes the split.
_hide_sprites:
        lda #$F8
        ldx #0
:       sta _oam,x
        inx
        inx
        inx
        inx
        bne :-
        lda #SPLIT_LINE
        sta _oam
        lda #SPR_SPLIT
        sta _oam+1
        lda #$20                ; behind the background
        sta _oam+2
        lda #248                ; in the columns that the emulator crops
        sta _oam+3
        lda #4
        sta next
        rts

; void draw16(void): 16 x 16 pixels, cut where they leave the screen.
_draw16:
        lda #0
        bit _spr_attr           ; bit 6: mirrored
        bvc :+
        lda #1
:       ora _spr_tile
        sta side
        jsr pair
        lda side
        eor #1
        sta side
        lda _spr_x
        clc
        adc #8
        sta _spr_x
        bcc pair
        inc _spr_x+1

pair:   lda _spr_x+1            ; two tiles, one below the other
        bne @out
        ldx next
        lda _spr_y
        sta _oam,x
        clc
        adc #8
        sta _oam+4,x
        lda side
        sta _oam+1,x
        ora #2
        sta _oam+5,x
        lda _spr_attr
        sta _oam+2,x
        sta _oam+6,x
        lda _spr_x
        sta _oam+3,x
        sta _oam+7,x
        txa
        clc
        adc #8
        sta next
@out:   rts

; void draw8(void): 8 x 8 pixels.
_draw8: lda _spr_x+1
        bne @out
        ldx next
        lda _spr_y
        sta _oam,x
        lda _spr_tile
        sta _oam+1,x
        lda _spr_attr
        sta _oam+2,x
        lda _spr_x
        sta _oam+3,x
        txa
        clc
        adc #4
        sta next
@out:   rts

; void build_column(void): the tiles and attribute bytes of `column`, for the
; next vblank.
_build_column:
        lda _column
        lsr a
        lsr a
        lsr a
        tax
        lda _taken,x
        sta gone
        lda _column
        and #7
        tax
        lda gone
        and bit_of,x
        sta gone
        lda _column
        lsr a
        lsr a
        lsr a
        lsr a
        tax
        stx _at_room
        lda _room_page,x
        sta cell+1
        lda _column
        asl a
        asl a
        asl a
        asl a
        ora #2                  ; the first row below the status bar
        sta row
        ldx #0
@cell:  ldy row
        lda (cell),y
        tay
        cpy #CELL_HEARTH
        beq @hearth
        cpy #CELL_LANTERN
        beq @lantern
        cpy #CELL_ITEM
        beq @item
@put:   lda cell_tl,y
        sta _left,x
        lda cell_bl,y
        sta _left+1,x
        lda cell_tr,y
        sta _right,x
        lda cell_br,y
        sta _right+1,x
        lda cell_palette,y
        sta _palettes,x
        inc row
        inx
        inx
        cpx #26
        bne @cell
        beq @done
@hearth:
        lda _phase              ; lit once it is reached
        cmp #3
        bne @put
        iny
        bne @put
@lantern:
        lda _lantern            ; lit once it is passed
        cmp _at_room
        bcc @put
        iny
        bne @put
@item:  lda gone
        beq @put
        lda row                 ; air again: column * 4 + row, each modulo 4
        lsr a
        lsr a
        and #%00001100
        sta side
        lda row
        and #3
        ora side
        tay
        lda air_cell,y
        tay
        jmp @put

@done:  lda _column             ; attribute bytes: of two columns of cells each
        and #15
        lsr a
        sta side
        lda _column
        and #16
        beq :+
        lda #64
:       ora side
        ora #8
        tay                     ; place in the shadow
        ldx #0
@bits:  lda _palettes+2,x
        asl a
        asl a
        asl a
        asl a
        ora _palettes,x
        sta side
        lda _column
        lsr a
        lda side
        bcc @even
        asl a
        asl a
        sta side
        lda _attributes,y
        and #$33
        jmp :+
@even:  lda _attributes,y
        and #$CC
:       ora side
        sta _attributes,y
        sta side
        txa
        lsr a
        lsr a
        tax
        lda side
        sta _bits,x
        txa
        asl a
        asl a
        clc
        adc #4
        tax
        tya
        clc
        adc #8
        tay
        cpx #28
        bne @bits

        lda _column
        and #16
        beq :+
        lda #4
:       ora #$20
        sta _at
        lda _column
        and #15
        asl a
        sta _at+1
        lsr a
        lsr a
        ora #$C8                ; the second row of attributes
        sta _at+2
        lda #1
        sta _column_ready
        rts
