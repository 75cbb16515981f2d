/** The server's half of the telnet protocol, RFC 854, as far as a console needs it. */

const IAC = 0xff;
const SB = 0xfa;
const SE = 0xf0;
const BREAK = 0xf3;
const IP = 0xf4;

/** WILL ECHO, WILL SUPPRESS-GO-AHEAD, WILL BINARY, DO BINARY: character mode, eight bits. */
export const TELNET_GREETING = Uint8Array.of(
  ...[IAC, 0xfb, 0x01, IAC, 0xfb, 0x03, IAC, 0xfb, 0x00, IAC, 0xfd, 0x00],
);

export class TelnetFilter {
  #state: "data" | "iac" | "option" | "sub" | "sub-iac" = "data";

  /** @param onBreak the peer sent a break or an interrupt */
  constructor(private readonly onBreak: () => void) {}

  /** What is left of `bytes` without commands. */
  decode(bytes: Uint8Array): Uint8Array {
    const out: number[] = [];
    for (const b of bytes) {
      switch (this.#state) {
        case "data":
          if (b === IAC) this.#state = "iac";
          else out.push(b);
          break;
        case "iac":
          this.#state = "data";
          if (b === IAC) out.push(b);
          else if (b === BREAK || b === IP) this.onBreak();
          else if (b === SB) this.#state = "sub";
          else if (b >= 0xfb) this.#state = "option";
          break;
        case "option":
          this.#state = "data";
          break;
        case "sub":
          if (b === IAC) this.#state = "sub-iac";
          break;
        case "sub-iac":
          this.#state = b === SE ? "data" : "sub";
          break;
      }
    }
    return Uint8Array.from(out);
  }

  /** Output with the byte 255 doubled. */
  encode(bytes: Uint8Array): Uint8Array {
    if (!bytes.includes(IAC)) return bytes;
    const out: number[] = [];
    for (const b of bytes) {
      out.push(b);
      if (b === IAC) out.push(b);
    }
    return Uint8Array.from(out);
  }
}
