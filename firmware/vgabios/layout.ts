/** Where things are in the VGA BIOS ROM: offsets that its tables and services refer to. */

export const ROM = {
  /** Code, header and identification come first. */
  code: 0x0000,
  pciData: 0x0040,
  /** INT 10h stub. */
  int10: 0x0100,
  /** Strings and VBE mode list. */
  oemString: 0x0400,
  vendorString: 0x0420,
  productString: 0x0440,
  revisionString: 0x0460,
  vbeModes: 0x0480,
  /** Tables of INT 10h/1Bh and the video save pointer of BDA 4A8h. */
  staticFunctionality: 0x05c0,
  savePointers: 0x05d0,
  secondarySavePointers: 0x05f0,
  displayCombinations: 0x0610,
  /** Video parameter table: 29 entries of 64 bytes. */
  parameters: 0x0640,
  font8: 0x0e00,
  font14: 0x1600,
  font16: 0x2400,
  /** Alternate glyphs for 9-dot modes: none, hence a zero byte. */
  alternate: 0x3400,
  size: 0x4000,
} as const;

/** Function numbers of the ROM's stubs in the trap protocol. */
export const FN_INIT = 0x200, FN_INT10 = 0x201;
