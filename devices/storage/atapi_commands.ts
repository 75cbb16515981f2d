/** The packet commands of a CD/DVD-ROM drive (MMC-3, SPC-3), one row each. */
import type { AtapiCdrom } from "./atapi.ts";
import {
  Asc,
  be16,
  be32,
  CD_MAX_SECTORS,
  discInformation,
  dvdStructure,
  getConfiguration,
  inquiry,
  inquiryVpd,
  mediaEvent,
  modeSense,
  rawToc,
  senseData,
  SenseKey,
  sessionInfo,
  toc,
  trackInformation,
} from "./atapi_data.ts";

interface PacketCommand {
  /** Runs although a medium change has not been reported yet. */
  readonly always?: boolean;
  /** Needs a medium. */
  readonly medium?: boolean;
  /** Has no data phase, so that a zero byte count limit is fine. */
  readonly noData?: boolean;
  run(cd: AtapiCdrom, p: Uint8Array): void;
}

function u16(p: Uint8Array, at: number): number {
  return p[at] << 8 | p[at + 1];
}

function u24(p: Uint8Array, at: number): number {
  return p[at] << 16 | u16(p, at + 1);
}

function u32(p: Uint8Array, at: number): number {
  return (p[at] << 24 | u24(p, at + 1)) >>> 0;
}

function badField(cd: AtapiCdrom): void {
  cd.fail(SenseKey.ILLEGAL_REQUEST, Asc.INVALID_FIELD_IN_CDB);
}

/** Replies, or fails with INVALID FIELD when the reply could not be made (length 0). */
function replyOrBadField(cd: AtapiCdrom, length: number, allocated: number): void {
  if (length === 0) badField(cd);
  else cd.reply(length, allocated);
}

function readToc(cd: AtapiCdrom, p: Uint8Array): void {
  const b = cd.state.buffer, sectors = cd.sectors!, msf = (p[1] & 2) !== 0, max = u16(p, 7);
  // MMC has the format in byte 2; SFF-8020i had it in the control byte.
  switch (p[2] & 0x0f || p[9] >> 6) {
    case 0:
      return replyOrBadField(cd, toc(b, sectors, msf, p[6]), max);
    case 1:
      return cd.reply(sessionInfo(b), max);
    case 2:
      return cd.reply(rawToc(b, sectors, msf), max);
    default:
      return badField(cd);
  }
}

function readCd(cd: AtapiCdrom, p: Uint8Array): void {
  const lba = u32(p, 2), count = u24(p, 6);
  const sectorType = (p[1] >> 2) & 7;
  if (sectorType !== 0 && sectorType !== 2) {
    return cd.fail(SenseKey.ILLEGAL_REQUEST, Asc.INCOMPATIBLE_FORMAT);
  }
  switch (p[9] & 0xf8) {
    case 0x00:
      return cd.succeed();
    case 0x10:
      return cd.readSectors(lba, count, 2048);
    case 0xf8:
      return cd.readSectors(lba, count, 2352);
    default:
      return badField(cd);
  }
}

function startStopUnit(cd: AtapiCdrom, p: Uint8Array): void {
  const start = (p[4] & 1) !== 0, loej = (p[4] & 2) !== 0;
  if (p[4] & 0xf0 || !loej) return cd.succeed();
  const { drive } = cd;
  if (!start && !drive.trayOpen && drive.locked) {
    const key = drive.medium ? SenseKey.NOT_READY : SenseKey.ILLEGAL_REQUEST;
    return cd.fail(key, Asc.MEDIA_REMOVAL_PREVENTED);
  }
  if (start) drive.closeTrayFromGuest?.();
  else drive.ejectFromGuest();
  cd.state.ejectRequest = false;
  cd.succeed();
}

function getEventStatus(cd: AtapiCdrom, p: Uint8Array): void {
  const s = cd.state, b = s.buffer, max = u16(p, 7);
  if ((p[1] & 1) === 0) return badField(cd); // asynchronous notification
  if ((p[4] & 0x10) === 0) {
    b.set([0, 0, 0x80, 0x10]);
    return cd.reply(4, max);
  }
  let event = 0;
  if (s.newMedia) event = 2;
  else if (s.ejectRequest) event = 1;
  s.newMedia = s.ejectRequest = false;
  cd.reply(mediaEvent(b, event, cd.drive.trayOpen, cd.sectors !== undefined), max);
}

function modeSense10(cd: AtapiCdrom, p: Uint8Array): void {
  const control = p[2] >> 6;
  if (control === 3) {
    return cd.fail(SenseKey.ILLEGAL_REQUEST, Asc.SAVING_PARAMETERS_NOT_SUPPORTED);
  }
  // Nothing is changeable; current and default values agree.
  if (control === 1) return badField(cd);
  replyOrBadField(cd, modeSense(cd.state.buffer, p[2] & 0x3f, cd.drive.locked), u16(p, 7));
}

function readDiscStructure(cd: AtapiCdrom, p: Uint8Array): void {
  const max = u16(p, 8), format = p[7];
  if (p[1] & 0x0f) return badField(cd); // Blu-ray
  const { sectors } = cd;
  if (format !== 0xff) {
    if (sectors === undefined) return cd.fail(SenseKey.NOT_READY, Asc.MEDIUM_NOT_PRESENT);
    if (sectors <= CD_MAX_SECTORS) {
      return cd.fail(SenseKey.ILLEGAL_REQUEST, Asc.INCOMPATIBLE_FORMAT);
    }
  }
  replyOrBadField(cd, dvdStructure(cd.state.buffer, format, p[6], sectors), max);
}

const commands: Record<number, PacketCommand> = {
  // TEST UNIT READY
  0x00: { medium: true, noData: true, run: (cd) => cd.succeed() },
  // REQUEST SENSE
  0x03: {
    always: true,
    run(cd, p) {
      const s = cd.state;
      const n = senseData(s.buffer, s.senseKey, s.asc);
      s.senseKey = s.asc = 0;
      cd.reply(n, p[4]);
    },
  },
  // INQUIRY
  0x12: {
    always: true,
    run(cd, p) {
      const b = cd.state.buffer;
      if (p[1] & 1) return replyOrBadField(cd, inquiryVpd(b, p[2], cd.id), p[4]);
      if (p[2] !== 0) return badField(cd);
      cd.reply(inquiry(b, cd.id.model, cd.id.version), p[4]);
    },
  },
  // START STOP UNIT
  0x1b: { noData: true, run: startStopUnit },
  // PREVENT ALLOW MEDIUM REMOVAL
  0x1e: {
    noData: true,
    run(cd, p) {
      cd.drive.locked = (p[4] & 1) !== 0;
      cd.succeed();
    },
  },
  // READ CAPACITY
  0x25: {
    medium: true,
    run(cd) {
      be32(cd.state.buffer, 0, cd.sectors! - 1);
      be32(cd.state.buffer, 4, 2048);
      cd.reply(8, 8);
    },
  },
  // READ(10)
  0x28: { medium: true, run: (cd, p) => cd.readSectors(u32(p, 2), u16(p, 7), 2048) },
  // SEEK(10)
  0x2b: {
    medium: true,
    noData: true,
    run(cd, p) {
      if (u32(p, 2) < cd.sectors!) cd.succeed();
      else cd.fail(SenseKey.ILLEGAL_REQUEST, Asc.LOGICAL_BLOCK_OUT_OF_RANGE);
    },
  },
  // READ TOC/PMA/ATIP
  0x43: { medium: true, run: readToc },
  // GET CONFIGURATION
  0x46: {
    always: true,
    run(cd, p) {
      // Only feature 0, the profile list, is described.
      if ((p[1] & 3) === 3 || u16(p, 2) !== 0) return badField(cd);
      cd.reply(getConfiguration(cd.state.buffer, cd.sectors), u16(p, 7));
    },
  },
  // GET EVENT STATUS NOTIFICATION
  0x4a: { always: true, run: getEventStatus },
  // READ DISC INFORMATION
  0x51: {
    medium: true,
    run(cd, p) {
      if (p[1] & 7) return badField(cd);
      cd.reply(discInformation(cd.state.buffer), u16(p, 7));
    },
  },
  // READ TRACK INFORMATION
  0x52: {
    medium: true,
    run(cd, p) {
      const number = u32(p, 2), kind = p[1] & 3;
      const found = kind === 0 ? number < cd.sectors! : number === 1;
      if (!found || kind === 3) return badField(cd);
      cd.reply(trackInformation(cd.state.buffer, cd.sectors!), u16(p, 7));
    },
  },
  // MODE SENSE(10)
  0x5a: { run: modeSense10 },
  // READ(12)
  0xa8: { medium: true, run: (cd, p) => cd.readSectors(u32(p, 2), u32(p, 6), 2048) },
  // READ DISC STRUCTURE
  0xad: { medium: false, run: readDiscStructure },
  // SET CD SPEED
  0xbb: { noData: true, run: (cd) => cd.succeed() },
  // MECHANISM STATUS
  0xbd: {
    run(cd, p) {
      const b = cd.state.buffer;
      b.fill(0, 0, 8);
      b[1] = cd.drive.trayOpen ? 0x10 : 0; // door open
      b[5] = 1; // slots
      be16(b, 6, 0);
      cd.reply(8, u16(p, 8));
    },
  },
  // READ CD
  0xbe: { medium: true, noData: true, run: readCd },
};

/** Runs the packet in `cd.state.packet`. */
export function runPacket(cd: AtapiCdrom): void {
  const s = cd.state, p = s.packet;
  const c = commands[p[0]];
  if (!c?.always && s.changed !== 0 && cd.sectors !== undefined) {
    // As after a real change: first "no medium", then "may have changed".
    if (s.changed === 1) {
      s.changed = 2;
      return cd.fail(SenseKey.NOT_READY, Asc.MEDIUM_NOT_PRESENT);
    }
    s.changed = 0;
    return cd.fail(SenseKey.UNIT_ATTENTION, Asc.MEDIUM_MAY_HAVE_CHANGED);
  }
  if (c === undefined) return cd.fail(SenseKey.ILLEGAL_REQUEST, Asc.ILLEGAL_OPCODE);
  if (p[0] !== 0x03) s.senseKey = s.asc = 0;
  if (c.medium && cd.sectors === undefined) {
    return cd.fail(SenseKey.NOT_READY, Asc.MEDIUM_NOT_PRESENT);
  }
  if (!c.noData && !s.dma && s.limit === 0) return cd.refuse();
  c.run(cd, p);
}
