/** What PS/2 keyboards and mice share: the queue to the controller and the line that says so. */
import { StatefulDevice } from "../../core/device.ts";

/** Bytes of events a device keeps for the host; replies to commands have room of their own. */
export const PS2_QUEUE_SIZE = 16;

export interface Ps2State {
  /** Replies to the last command: sent before events, dropped when the next command arrives. */
  replies: number[];
  /** Events. */
  queue: number[];
  /** Command that waits for its parameter, or -1. */
  command: number;
}

/** The host's side of a PS/2 port: what the 8042 sees. */
export interface Ps2Port {
  /** A byte is waiting. */
  readonly pending: boolean;
  /** Takes the next byte; 0 when there is none. */
  take(): number;
  /** The host sends a command or parameter. */
  send(byte: number): void;
  /** Told whenever a byte has been queued. */
  onData: () => void;
}

export abstract class Ps2Device<S extends Ps2State> extends StatefulDevice<S> implements Ps2Port {
  onData: () => void = () => {};

  get pending(): boolean {
    return this.state.replies.length + this.state.queue.length > 0;
  }

  take(): number {
    return this.state.replies.shift() ?? this.state.queue.shift() ?? 0;
  }

  abstract send(byte: number): void;

  /** Room left for events. */
  protected get room(): number {
    return PS2_QUEUE_SIZE - this.state.queue.length;
  }

  /** Queues an event, or drops it whole when it does not fit. */
  protected queueEvent(bytes: readonly number[]): boolean {
    if (bytes.length === 0 || bytes.length > this.room) return false;
    this.state.queue.push(...bytes);
    this.onData();
    return true;
  }

  protected reply(...bytes: number[]): void {
    this.state.replies.push(...bytes);
    this.onData();
  }
}
