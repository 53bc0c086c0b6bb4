"""Small NES games made of a few 6502 instructions, for what no game of ours does.

In each a sprite walks by the arrows once its title lets one in; the titles differ.
"""

import itertools

MODES = {  # instruction → opcode by what its operand looks like: # number, zero page, address
    "LDA": {"#": 0xA9, "z": 0xA5, "a": 0xAD},
    "LDX": {"#": 0xA2},
    "STA": {"z": 0x85, "a": 0x8D},
    "AND": {"#": 0x29, "z": 0x25},
    "CMP": {"#": 0xC9, "z": 0xC5},
    "EOR": {"#": 0x49},
    "INC": {"z": 0xE6, "a": 0xEE},
    "DEC": {"z": 0xC6, "a": 0xCE},
    "BIT": {"a": 0x2C},
    "ROL": {"z": 0x26},
    "STAX": {"a": 0x9D},
    "JMP": {"a": 0x4C},
    "LSR": {"": 0x4A},
    "BNE": {"r": 0xD0},
    "BEQ": {"r": 0xF0},
    "BPL": {"r": 0x10},
    "BCC": {"r": 0x90},
    "SEI": {"": 0x78},
    "CLD": {"": 0xD8},
    "TXS": {"": 0x9A},
    "DEX": {"": 0xCA},
    "INX": {"": 0xE8},
    "KIL": {"": 0x02},
}
SIZES = {"": 1, "#": 2, "z": 2, "r": 2, "a": 3}
BASE = 0x8000
# Zero page: PAD (A B SELECT START UP DOWN LEFT RIGHT from the top bit), TIME (60ths of a second, in
# 16s), SCENE (0: title), COLOUR of the background, HELD.
NAMES = {"PAD": 0x10, "TIME": 0x11, "SLOW": 0x12, "SCENE": 0x13, "COLOUR": 0x14, "HELD": 0x15}

BEGIN = """
SEI; CLD; LDX #$FF; TXS; LDA #0; STA $2000; STA $2001; STA TIME; STA SLOW; STA SCENE; STA HELD
@v1: BIT $2002; BPL v1
@v2: BIT $2002; BPL v2
LDA #$11; STA COLOUR; LDA #$FF; LDX #0
@clear: STAX $0200; INX; BNE clear
LDA #$3F; STA $2006; LDA #$11; STA $2006; LDA #$30; STA $2007
LDA #100; STA $0200; STA $0203; LDA #1; STA $0201; LDA #0; STA $0202; LDA #$10; STA $2001
@frame: BIT $2002; BPL frame
LDA #2; STA $4014; LDA #$3F; STA $2006; LDA #0; STA $2006; LDA COLOUR; STA $2007
LDA #0; STA $2006; STA $2006; LDA #1; STA $4016; LDA #0; STA $4016; LDX #8
@bit: LDA $4016; LSR; ROL PAD; DEX; BNE bit
INC TIME; LDA TIME; AND #15; BNE same
INC SLOW
@same: LDA SCENE; BEQ title
CMP #1; BEQ play
JMP other
@play: LDA #$0F; STA COLOUR
LDA PAD; AND #1; BEQ p1
INC $0203
@p1: LDA PAD; AND #2; BEQ p2
DEC $0203
@p2: LDA PAD; AND #4; BEQ p3
INC $0200
@p3: LDA PAD; AND #8; BEQ p4
DEC $0200
@p4: JMP frame
@begin: LDA #1; STA SCENE; JMP frame
@title:
"""
START = "LDA PAD; AND #$10; BEQ frame_; JMP begin"
TITLES = {
    "both": "LDA PAD; AND #$C0; CMP #$C0; BNE frame_; JMP begin",
    "waits": f"LDA SLOW; CMP #19; BCC frame_; {START}",
    "long": "LDA PAD; AND #$10; BEQ off; INC HELD; LDA HELD; CMP #70; BCC frame_; JMP begin\n"
    "@off: LDA #0; STA HELD; JMP frame",
    "cycles": f"LDA SLOW; AND #7; STA COLOUR; {START}",
    # a menu: DOWN and UP choose, A takes the lower entry; the upper one is a page that B leaves
    "menu": "LDA PAD; AND #4; BEQ m1; LDA #150; STA $0200\n@m1: LDA PAD; AND #8; BEQ m2; LDA #100;"
    " STA $0200\n@m2: LDA PAD; AND #$80; BEQ frame_; LDA $0200; CMP #150; BEQ go; LDA #2; STA SCENE"
    "; JMP frame\n@go: JMP begin",
    # a film in which the sprite moves alone, until START
    "film": f"INC $0203; LDA SLOW; AND #1; BEQ f1; INC $0200\n@f1: {START}",
    "still": "JMP frame",
    "dark": "LDA #0; STA $2001; LDA #$0F; STA COLOUR; JMP frame",
    "deaf": "LDA SLOW; AND #7; STA COLOUR; JMP frame",
    "jams": "LDA PAD; BEQ frame_; KIL",
}
END = """
@frame_: JMP frame
@other: LDA #$16; STA COLOUR; LDA PAD; AND #$40; BEQ frame_; LDA #0; STA SCENE; LDA #$11; STA COLOUR
JMP frame
"""


def rom(title: str) -> bytes:
    """An .nes file of 32 + 8 KiB with this title."""
    code = assemble(f"{BEGIN}{TITLES[title]}{END}")
    program = code.ljust(0x7FFA, b"\0") + BASE.to_bytes(2, "little") * 3
    return b"NES\x1a\x02\x01" + bytes(10) + program + (bytes(16) + b"\xff" * 8).ljust(8192, b"\0")


def assemble(text: str) -> bytes:
    """6502 code of instructions between semicolons; `@name:` is a label."""
    lines = [part.strip() for part in text.replace("\n", ";").split(";") if part.strip()]
    places, parsed, here = dict(NAMES), [], BASE
    for line in lines:
        if line.startswith("@"):
            label, _, line = line[1:].partition(":")
            places[label] = here
        if line.strip():
            word, _, operand = line.strip().partition(" ")
            mode = _mode(word, operand)
            parsed.append((word, mode, operand.strip(), here))
            here += SIZES[mode]
    return bytes(itertools.chain(*(_bytes(*one, places) for one in parsed)))


def _mode(word: str, operand: str) -> str:
    if not operand or "r" in MODES[word]:
        return "r" if operand else ""
    return "#" if operand[0] == "#" else "z" if operand in NAMES else "a"


def _bytes(word: str, mode: str, operand: str, here: int, places: dict[str, int]) -> list[int]:
    text = operand.lstrip("#")
    value = places[text] if text in places else int(text.replace("$", "0x") or "0", 0)
    value -= (here + 2) * (mode == "r")
    assert -128 <= value < 128 or mode != "r", f"{operand} is too far"
    return [MODES[word][mode], *(value & 0xFFFF).to_bytes(2, "little")[: SIZES[mode] - 1]]
