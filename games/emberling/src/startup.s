; Reset, the vblank handler that draws and splits the screen, the pad reader.
;
; The two nametables side by side are a window of 32 columns of cells onto the
; level; column n stands at n modulo 32. Their rows 0 to 3 are the status
; bar's: only $2000's are ever shown, by a split at sprite 0.

        .macpack longbranch     ; jeq, jne
        .include "layout.inc"   ; PPU addresses, from the drawings

        .import _main
        .import __STK_START__, __STK_SIZE__
        .importzp sp
        .import _oam, _hud_score, _hud_lives, _hud_level, _hud_text, _view
        .import _mask, _ready, _column_ready, _left, _right
        .import _bits, _at, _camera_x, _lag, _pad, _pad_before, _hide_sprites
        .export _wait_frame, _read_pad, _screen_on
        .export __STARTUP__ : absolute = 1

PPUCTRL = $2000
PPUMASK = $2001
PPUSTAT = $2002
OAMADDR = $2003
SCROLL  = $2005
PPUADDR = $2006
PPUDATA = $2007
OAMDMA  = $4014
BASE    = $88                   ; vblank handler on, sprites from the second table
ALL_ON  = %00011110

        .segment "ZEROPAGE"
src:    .res 2
frame:  .res 1                  ; frames since the picture came on
seen:   .res 1                  ; the frame that the logic has answered
scroll: .res 2                  ; the camera in the picture
below:  .res 1                  ; PPUMASK in the picture below the status bar
shown:  .res 1                  ; view in the picture

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
        cpx #32
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
        jsr _hide_sprites
        jmp _main

; void screen_on(void): from here on the vblank handler runs.
_screen_on:
:       bit PPUSTAT
        bpl :-
        lda #>_oam
        sta OAMDMA
        lda #BASE | 1
        sta PPUCTRL
        lda #0
        sta SCROLL
        sta SCROLL
        lda #ALL_ON
        sta PPUMASK
        rts

; void wait_frame(void): hands what the logic has made to the next vblank.
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

; count tiles in a row, from a buffer.
.macro tiles address, buffer, count
        at address
        .repeat count, i
        lda buffer + i
        sta PPUDATA
        .endrepeat
.endmacro

nmi:    pha
        txa
        pha
        tya
        pha
        inc frame
        bit PPUSTAT
        lda _ready
        jeq split               ; logic still running: draw nothing half done
        lda #0
        sta _ready
        sta OAMADDR
        lda #>_oam
        sta OAMDMA
        lda _column_ready
        jeq @status
        lda #0
        sta _column_ready
        lda #BASE | 4           ; down the columns
        sta PPUCTRL
        ldx _at                 ; rows 4 to 29
        ldy _at+1
        stx PPUADDR
        tya
        ora #$80
        sta PPUADDR
        .repeat 26, i
        lda _left + i
        sta PPUDATA
        .endrepeat
        stx PPUADDR
        tya
        ora #$81
        sta PPUADDR
        .repeat 26, i
        lda _right + i
        sta PPUDATA
        .endrepeat
        lda #BASE
        sta PPUCTRL
        inx                     ; attributes are in the nametable's last page
        inx
        inx
        lda _at+2
        clc
        .repeat 7, i
        stx PPUADDR
        sta PPUADDR
        ldy _bits + i
        sty PPUDATA
        adc #8
        .endrepeat
@status:
        tiles AT_SCORE, _hud_score, 5
        tiles AT_LEVEL, _hud_level, 2
        tiles AT_LIVES, _hud_lives, 1
        tiles AT_TEXT, _hud_text, 10
        lda _camera_x
        sta scroll
        lda _camera_x+1
        and #1
        ora #BASE
        sta scroll+1
        lda _mask
        sta below
        lda _view
        sta shown
split:  lda shown
        beq title
        lda #BASE
        sta PPUCTRL
        lda #0
        sta SCROLL
        sta SCROLL
        lda #ALL_ON
        sta PPUMASK
:       bit PPUSTAT             ; the flag of the frame before
        bvs :-
:       bit PPUSTAT
        bvc :-
        ldx scroll+1            ; at the right end of a line, in the bar's black rim
        lda scroll
        ldy below
        stx PPUCTRL
        sta SCROLL
        lda #0
        sta SCROLL
        sty PPUMASK
leave:  pla
        tay
        pla
        tax
        pla
irq:    rti

title:  lda #BASE | 1
        sta PPUCTRL
        lda #0
        sta SCROLL
        sta SCROLL
        lda #ALL_ON
        sta PPUMASK
        jmp leave

        .segment "RODATA"
palette:
        .byte $0F, $0C, $01, $11        ; the far wall
        .byte $0F, $0C, $00, $1A        ; rock and moss
        .byte $0F, $08, $28, $38        ; sparks, lanterns, hearth
        .byte $0F, $01, $21, $30        ; water, crystals, white text
        .byte $0F, $06, $27, $37        ; the player
        .byte $0F, $02, $22, $32        ; beetles
        .byte $0F, $04, $14, $35        ; bats
        .byte $0F, $0B, $1A, $3A        ; toads
screens:
        .incbin "screens.nam"

        .segment "VECTORS"
        .addr nmi, reset, irq

        .segment "CHARS"
        .incbin "tiles.chr"
