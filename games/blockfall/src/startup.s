; Reset, the vblank handler that draws, and the pad reader.
;
; Two nametables: $2000 holds the title, $2400 the play screen. Both are
; written once, with the picture off; after that only cells change, and a
; whole logical change is written within one vblank, so no frame shows
; half of it.

        .macpack longbranch     ; jeq, jne
        .include "layout.inc"   ; PPU addresses, from the screen drawings

        .import _main
        .import __STK_START__, __STK_SIZE__
        .importzp sp
        .importzp _shadow
        .import _hud_score, _hud_lines, _hud_level, _hud_next, _hud_text
        .import _hud_bar, _view, _ready, _lag, _mode, _pad, _pad_before
        .export _wait_frame, _read_pad, _screen_on
        .export __STARTUP__ : absolute = 1

PPUCTRL = $2000
PPUMASK = $2001
PPUSTAT = $2002
SCROLL  = $2005
PPUADDR = $2006
PPUDATA = $2007

        .segment "ZEROPAGE"
src:    .res 2
frame:  .res 1                  ; frames since the picture came on
seen:   .res 1                  ; the frame that the logic has answered

        .segment "HEADER"
        .byte "NES", $1A, 2, 1, 1, 0    ; 32K + 8K, vertical mirroring
        .res 8, 0

        .segment "STARTUP"
reset:  sei
        cld
        ldx #$40
        stx $4017               ; no frame interrupt
        ldx #$FF
        txs
        inx
        stx PPUCTRL
        stx PPUMASK
        stx $4010
        stx $4015               ; silent
        bit PPUSTAT
:       bit PPUSTAT
        bpl :-
        txa                     ; RAM to 0: power-on is always the same
:       sta $0000,x
        sta $0100,x
        sta $0200,x
        sta $0300,x
        sta $0400,x
        sta $0500,x
        sta $0600,x
        sta $0700,x
        inx
        bne :-
        ldx #$60                ; cartridge RAM, if an emulator adds some,
        stx src+1               ; to 0 too: it is part of a saved state
        ldy #0
:       sta (src),y
        iny
        bne :-
        inc src+1
        bpl :-
        tax
:       bit PPUSTAT
        bpl :-

        lda #$3F                ; palettes
        sta PPUADDR
        stx PPUADDR
:       lda palette,x
        sta PPUDATA
        inx
        cpx #16
        bne :-

        lda #$20                ; both nametables, 2 KB in one go
        sta PPUADDR
        lda #$00
        sta PPUADDR
        lda #<screens
        sta src
        lda #>screens
        sta src+1
        ldx #8
        ldy #0
:       lda (src),y
        sta PPUDATA
        iny
        bne :-
        inc src+1
        dex
        bne :-

        lda #<(__STK_START__ + __STK_SIZE__)
        sta sp
        lda #>(__STK_START__ + __STK_SIZE__)
        sta sp+1
        jmp _main

; void screen_on(void): from here on the vblank handler runs.
_screen_on:
:       bit PPUSTAT
        bpl :-
        lda #$80
        sta PPUCTRL
        lda #0
        sta SCROLL
        sta SCROLL
        lda #%00001010          ; background, also in the left 8 pixels
        sta PPUMASK
        rts

; void wait_frame(void): hands the finished shadow to the next vblank.
_wait_frame:
        lda frame
        cmp seen
        beq :+                  ; else the logic missed a vblank
        inc _lag
        sta seen
:       lda #1
        sta _ready
        lda seen
:       cmp frame
        beq :-
        inc seen
        rts

; void read_pad(void): pad bits A B SELECT START UP DOWN LEFT RIGHT, 7..0
_read_pad:
        lda _pad
        sta _pad_before
        lda #1
        sta $4016
        sta _pad
        lda #0
        sta $4016
:       lda $4016
        lsr a
        rol _pad                ; the 1 put there falls out after 8 bits
        bcc :-
        rts

.macro at address
        lda #>(address)
        sta PPUADDR
        lda #<(address)
        sta PPUADDR
.endmacro

.macro put address
        lda address
        sta PPUDATA
.endmacro

; count tiles in a row, from a buffer.
.macro row address, buffer, count
        at address
        .repeat count, i
        put buffer + i
        .endrepeat
.endmacro

; Digits are two tiles tall: one row of tops, one row of bottoms.
.macro digits address, buffer, count
        row address, buffer, count
        row address + 32, buffer + count, count
.endmacro

; The play screen is drawn anew in every vblank: about 2140 of its 2273
; cycles, 1520 of them for the well. So no change can need two frames.
nmi:    pha
        txa
        pha
        inc frame
        lda _ready
        jeq show                ; logic still running: draw nothing half done
        lda #0
        sta _ready
        bit PPUSTAT
        lda _view
        jeq title
        lda #$84                ; down the columns: 10 addresses, not 20
        sta PPUCTRL
        .repeat 10, col
        at AT_BOARD + col
        .repeat 20, line
        put _shadow + line * 10 + col
        .endrepeat
        .endrepeat
        lda #$80
        sta PPUCTRL
        row AT_NEXT, _hud_next, 4
        row AT_NEXT + 32, _hud_next + 4, 4
        row AT_TEXT, _hud_text, 10
        ldx _hud_bar
        .repeat 2, i
        at AT_TEXT - 32 + i * 64
        .repeat 10
        stx PPUDATA
        .endrepeat
        .endrepeat
        at AT_TYPE
        ldx _mode
        lda mode_tile,x
        sta PPUDATA
        digits AT_SCORE, _hud_score, 5
        digits AT_LINES, _hud_lines, 3
        digits AT_LEVEL, _hud_level, 2
show:   lda _view
        ora #$80
        sta PPUCTRL
        lda #0
        sta SCROLL
        sta SCROLL
        pla
        tax
        pla
irq:    rti

title:  ldx _mode
        at AT_CURSOR_A
        lda cursor_a,x
        sta PPUDATA
        at AT_CURSOR_B
        lda cursor_b,x
        sta PPUDATA
        jmp show

        .segment "RODATA"
mode_tile: .byte TILE_A, TILE_B
cursor_a:  .byte TILE_CURSOR, 0
cursor_b:  .byte 0, TILE_CURSOR
palette:
        .byte $0F, $16, $2C, $30        ; well and pieces
        .byte $0F, $01, $11, $30        ; panels, white text
        .byte $0F, $01, $11, $04        ; wall
        .byte $0F, $01, $11, $28        ; panels, gold text
screens:
        .incbin "title.nam"
        .incbin "play.nam"

        .segment "VECTORS"
        .addr nmi, reset, irq

        .segment "CHARS"
        .incbin "tiles.chr"
