/** The video part of the BIOS data area: linear addresses (IBM PS/2 BIOS Interface Reference). */
export const EQUIPMENT = 0x410;
export const VIDEO_MODE = 0x449;
export const COLUMNS = 0x44a;
/** Bytes of a page. */
export const PAGE_SIZE = 0x44c;
export const PAGE_START = 0x44e;
/** Column and row of the cursor on each of eight pages. */
export const CURSOR_POSITIONS = 0x450;
/** End and start line of the cursor. */
export const CURSOR_SHAPE = 0x460;
export const ACTIVE_PAGE = 0x462;
export const CRTC_PORT = 0x463;
/** What the CGA's mode (3D8) and colour (3D9) registers would hold. */
export const CGA_MODE = 0x465;
export const CGA_COLOR = 0x466;
/** Rows − 1. */
export const ROWS = 0x484;
/** Lines of a character. */
export const CHAR_HEIGHT = 0x485;
/** Bit 0 no cursor emulation, bit 1 monochrome, bits 5–6 memory size, bit 7 last mode set kept memory. */
export const VIDEO_CONTROL = 0x487;
export const SWITCHES = 0x488;
/** Bit 0 VGA, 1 grey summing, 2 mono, 3 no default palette, 4 and 7 scan lines (10 = 400). */
export const MODE_CONTROL = 0x489;
export const DCC_INDEX = 0x48a;
/** Far pointer to the video save pointer table. */
export const SAVE_POINTER = 0x4a8;
/** VBE mode as set, with its flag bits; 0 when a standard mode is in force. Reserved to the BIOS. */
export const VBE_MODE = 0x4ba;

/** Interrupt vectors that are pointers to fonts. */
export const FONT_UPPER_8X8 = 4 * 0x1f;
export const FONT = 4 * 0x43;

/** Where the ROM is: by convention, and because its tables are referred to by far pointers. */
export const ROM_SEGMENT = 0xc000;
