/** What every guest-visible device is: resettable, saveable, loadable, and wired by lines. */

/** Plain data that `structuredClone` copies: numbers, strings, booleans, arrays, typed arrays, maps. */
export type DeviceState = unknown;

/**
 * A device model. It knows offsets, never addresses; its board maps its regions and hands it its IRQ
 * lines, clock and back ends at construction. Time comes from the injected clock only. Values from
 * the guest are hostile: a bad one does what the hardware would do, or is logged as `guest_errors`.
 */
export interface Device {
  /** QEMU's device type name, such as `isa-serial`. */
  readonly type: string;
  /** The state after power-on or system reset. Timers are cancelled, output lines lowered. */
  reset(): void;
  /** A copy of the complete guest-visible state. */
  save(): DeviceState;
  /** Puts back what {@link save} gave, re-arming timers and re-driving output lines. */
  load(state: DeviceState): void;
}

/**
 * A device whose whole state is one plain object `state`, made by `initial()`: reset, save and load
 * follow from it. Override {@link onReset} and {@link onLoad} for lines and timers.
 */
export abstract class StatefulDevice<S extends object> implements Device {
  abstract readonly type: string;
  state: S;

  constructor(protected readonly initial: () => S) {
    this.state = initial();
  }

  reset(): void {
    this.state = this.initial();
    this.onReset();
  }

  save(): S {
    return structuredClone(this.state);
  }

  load(state: DeviceState): void {
    this.state = structuredClone(state) as S;
    this.onLoad();
  }

  protected onReset(): void {}
  protected onLoad(): void {}
}

/** A wire. `set(true)` raises it, `set(false)` lowers it; repeating a level is harmless. */
export interface IrqLine {
  set(level: boolean): void;
}

/** A wire to nowhere. */
export const NO_IRQ: IrqLine = { set() {} };

/** A wire that calls `f` on each change of level. */
export function irqLine(f: (level: boolean) => void): IrqLine {
  let now = false;
  return {
    set(level) {
      if (level === now) return;
      now = level;
      f(level);
    },
  };
}

/** Several wires OR-ed onto one: the output is high while any input is. */
export function orLines(out: IrqLine, count: number): IrqLine[] {
  const levels = new Array<boolean>(count).fill(false);
  return levels.map((_, i) => ({
    set(level) {
      levels[i] = level;
      out.set(levels.includes(true));
    },
  }));
}
