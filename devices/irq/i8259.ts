/**
 * The PC's pair of Intel 8259A programmable interrupt controllers (datasheet 231468), cascaded on
 * IR2 of the master, with the edge/level control registers ELCR1/2 of the 82371 (PIIX3 datasheet
 * 290550, 2.5.10).
 *
 * An edge-triggered request stays in IRR until it is acknowledged, even when its line has fallen:
 * the chip would answer such a request with IR7, and every PC device either holds its line or
 * expects the latch that chip sets gave it. IR7/IR15 without a request ("spurious") still happens
 * when a request is masked between INT and INTA.
 */
import { type IrqLine, StatefulDevice } from "../../core/device.ts";
import { type AccessSize, type IoRegion, ioRegion } from "../../core/memory/region.ts";

/** One 8259A. Register names are the datasheet's; each is 8 bits, bit n for input IRn. */
export interface ChipState {
  irr: number;
  imr: number;
  isr: number;
  /** Levels of the eight inputs. */
  lines: number;
  /** Input with the highest priority (0–7); the one before it has the lowest. */
  highest: number;
  /** ICW2: vector of IR0, a multiple of 8. */
  base: number;
  /** OCW3.RIS: reads of the command port give ISR instead of IRR. */
  readIsr: boolean;
  /** OCW3.P: the next read is a poll. */
  poll: boolean;
  specialMask: boolean;
  /** ICW4.SFNM. */
  specialFullyNested: boolean;
  /** ICW4.AEOI. */
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  /** Initialization command word the data port expects next (2–4), or 0 for OCW1. */
  expects: number;
  /** ICW1.IC4. */
  needsIcw4: boolean;
  /** ICW1.SNGL. */
  single: boolean;
  /** ICW1.LTIM. */
  levelTriggered: boolean;
  /** ELCR: bit n makes IRn level-triggered. */
  elcr: number;
}

export interface PicState {
  master: ChipState;
  slave: ChipState;
}

const CASCADE = 2;

function powerOn(): ChipState {
  return {
    irr: 0,
    imr: 0,
    isr: 0,
    lines: 0,
    highest: 0,
    base: 0,
    readIsr: false,
    poll: false,
    specialMask: false,
    specialFullyNested: false,
    autoEoi: false,
    rotateOnAutoEoi: false,
    expects: 0,
    needsIcw4: false,
    single: false,
    levelTriggered: false,
    elcr: 0,
  };
}

/** Position of the first set bit in priority order (0 is the highest priority), 8 when none. */
function rank(c: ChipState, bits: number): number {
  if (bits === 0) return 8;
  const turned = ((bits | bits << 8) >> c.highest) & 0xff;
  return 31 - Math.clz32(turned & -turned);
}

/** The input to be serviced now, or -1. */
function requested(c: ChipState, master: boolean): number {
  const request = rank(c, c.irr & ~c.imr);
  if (request === 8) return -1;
  let inService = c.isr;
  if (c.specialMask) inService &= ~c.imr;
  if (c.specialFullyNested && master) inService &= ~(1 << CASCADE);
  return request < rank(c, inService) ? (request + c.highest) & 7 : -1;
}

function isLevel(c: ChipState, bit: number): boolean {
  return c.levelTriggered || (c.elcr & bit) !== 0;
}

function setInput(c: ChipState, ir: number, level: boolean): void {
  const bit = 1 << ir;
  if (level) {
    if (isLevel(c, bit) || !(c.lines & bit)) c.irr |= bit;
    c.lines |= bit;
  } else {
    if (isLevel(c, bit)) c.irr &= ~bit;
    c.lines &= ~bit;
  }
}

/** INTA for input `ir`: from request to in-service, or straight to its end with AEOI. */
function intAck(c: ChipState, ir: number): void {
  const bit = 1 << ir;
  if (!isLevel(c, bit)) c.irr &= ~bit;
  if (!c.autoEoi) c.isr |= bit;
  else if (c.rotateOnAutoEoi) c.highest = (ir + 1) & 7;
}

function writeIcw1(c: ChipState, value: number): void {
  c.levelTriggered = (value & 0x08) !== 0;
  c.single = (value & 0x02) !== 0;
  c.needsIcw4 = (value & 0x01) !== 0;
  c.imr = 0;
  c.isr = 0;
  c.highest = 0;
  c.readIsr = false;
  c.poll = false;
  c.specialMask = false;
  c.specialFullyNested = false;
  c.autoEoi = false;
  c.rotateOnAutoEoi = false;
  c.expects = 2;
  c.irr = c.lines & (c.levelTriggered ? 0xff : c.elcr);
}

function writeOcw2(c: ChipState, value: number): void {
  const command = value >> 5, level = value & 7;
  switch (command) {
    case 0:
    case 4:
      c.rotateOnAutoEoi = command === 4;
      break;
    case 1:
    case 5: {
      const candidates = c.specialMask ? c.isr & ~c.imr : c.isr;
      const r = rank(c, candidates);
      if (r === 8) break;
      const ir = (r + c.highest) & 7;
      c.isr &= ~(1 << ir);
      if (command === 5) c.highest = (ir + 1) & 7;
      break;
    }
    case 3:
      c.isr &= ~(1 << level);
      break;
    case 6:
      c.highest = (level + 1) & 7;
      break;
    case 7:
      c.isr &= ~(1 << level);
      c.highest = (level + 1) & 7;
      break;
  }
}

function writeOcw3(c: ChipState, value: number): void {
  c.poll = (value & 0x04) !== 0;
  if (value & 0x02) c.readIsr = (value & 0x01) !== 0;
  if (value & 0x40) c.specialMask = (value & 0x20) !== 0;
}

function writeData(c: ChipState, value: number): void {
  switch (c.expects) {
    case 0:
      c.imr = value;
      break;
    case 2:
      c.base = value & 0xf8;
      c.expects = c.single ? (c.needsIcw4 ? 4 : 0) : 3;
      break;
    case 3:
      // ICW3 tells where the slave sits; on a PC the wiring is fixed.
      c.expects = c.needsIcw4 ? 4 : 0;
      break;
    case 4:
      c.specialFullyNested = (value & 0x10) !== 0;
      c.autoEoi = (value & 0x02) !== 0;
      c.expects = 0;
      break;
  }
}

export class I8259 extends StatefulDevice<PicState> {
  readonly type = "isa-i8259";
  /** Rising edges seen on each of the 16 inputs, for `info irq`. */
  readonly counts: number[] = new Array(16).fill(0);
  /** Ports 20h and 21h. */
  readonly masterPorts: IoRegion;
  /** Ports A0h and A1h. */
  readonly slavePorts: IoRegion;
  /** Port 4D0h. IRQ 0, 1 and 2 are always edge-triggered. */
  readonly elcr1: IoRegion;
  /** Port 4D1h. IRQ 8 and 13 are always edge-triggered. */
  readonly elcr2: IoRegion;
  readonly #inputs: IrqLine[];
  readonly #int: IrqLine;

  /** @param int the master's INT output, to the processors' LINT0 or INTR */
  constructor(int: IrqLine) {
    super(() => ({ master: powerOn(), slave: powerOn() }));
    this.#int = int;
    this.#inputs = Array.from({ length: 16 }, (_, n) => ({ set: (level) => this.#set(n, level) }));
    this.masterPorts = this.#ports(() => this.state.master);
    this.slavePorts = this.#ports(() => this.state.slave);
    this.elcr1 = this.#elcr(() => this.state.master, 0xf8);
    this.elcr2 = this.#elcr(() => this.state.slave, 0xde);
  }

  /** Input IRQ `n`, 0–15. IRQ 2 is the cascade: driving it from outside has no effect. */
  input(n: number): IrqLine {
    return this.#inputs[n];
  }

  /** Level of the INT output. */
  get output(): boolean {
    return requested(this.state.master, true) >= 0;
  }

  /** INTA: takes the highest request and gives its vector; IR7 of the chip at fault when none. */
  acknowledge(): number {
    const { master, slave } = this.state;
    const ir = requested(master, true);
    if (ir < 0) return master.base + 7;
    let vector = master.base + ir;
    if (ir === CASCADE && !master.single) {
      const ir2 = requested(slave, false);
      if (ir2 >= 0) intAck(slave, ir2);
      vector = slave.base + (ir2 < 0 ? 7 : ir2);
      // The slave's INT falls during INTA: if it has more to say, the master sees a new edge.
      setInput(master, CASCADE, false);
    }
    intAck(master, ir);
    this.#update();
    return vector;
  }

  /** The inputs keep the levels their devices drive; a line held high is no new edge. */
  override reset(): void {
    const master = this.state.master.lines & ~(1 << CASCADE), slave = this.state.slave.lines;
    super.reset();
    this.state.master.lines = master;
    this.state.slave.lines = slave;
    this.#update();
  }

  protected override onLoad(): void {
    this.#update();
  }

  #set(n: number, level: boolean): void {
    if (n === CASCADE) return;
    const c = n < 8 ? this.state.master : this.state.slave;
    if (level && !(c.lines & (1 << (n & 7)))) this.counts[n]++;
    setInput(c, n & 7, level);
    this.#update();
  }

  #update(): void {
    const { master, slave } = this.state;
    const request = requested(slave, false) >= 0;
    setInput(master, CASCADE, request);
    // Between two chips nothing needs the latch, and it would turn into a spurious IRQ 15.
    if (!request) master.irr &= ~(1 << CASCADE);
    this.#int.set(requested(master, true) >= 0);
  }

  #read(c: ChipState, offset: number): number {
    if (c.poll) {
      c.poll = false;
      const ir = requested(c, c === this.state.master);
      if (ir < 0) return 0;
      intAck(c, ir);
      this.#update();
      return 0x80 | ir;
    }
    return offset === 1 ? c.imr : c.readIsr ? c.isr : c.irr;
  }

  #write(c: ChipState, offset: number, value: number): void {
    if (offset === 1) writeData(c, value);
    else if (value & 0x10) writeIcw1(c, value);
    else if (value & 0x08) writeOcw3(c, value);
    else writeOcw2(c, value);
    this.#update();
  }

  #ports(chip: () => ChipState): IoRegion {
    return ioRegion("pic", 2, {
      maxAccess: 1,
      read: (offset) => this.#read(chip(), offset),
      write: (offset, _size: AccessSize, value) => this.#write(chip(), offset, value),
    });
  }

  #elcr(chip: () => ChipState, writable: number): IoRegion {
    return ioRegion("elcr", 1, {
      maxAccess: 1,
      read: () => chip().elcr,
      write: (_offset, _size, value) => {
        const c = chip();
        c.elcr = value & writable;
        const level = c.levelTriggered ? 0xff : c.elcr;
        c.irr = (c.irr & ~level) | (c.lines & level);
        this.#update();
      },
    });
  }
}
