/**
 * Line editing for terminals, as QEMU's monitor does it: history, Tab completion, and redrawing with
 * no more than cursor left, cursor right and erase to the end of the line.
 */

/** History lines kept. */
const MAX_HISTORY = 64;
/** Characters of a line; more are not taken. */
const MAX_LINE = 4095;

export interface ReadlineHost {
  /** Prints; `\n` is a new line. */
  print(text: string): void;
  /** A line was entered. The prompt is printed when the host asks for it. */
  line(text: string): void;
  /** What the last word of `text` (the line up to the cursor) can become. */
  complete(text: string): Completion;
}

export interface Completion {
  /** The part of each candidate that is typed already. */
  readonly typed: string;
  readonly candidates: readonly string[];
}

type State = "normal" | "escape" | "csi" | "ss3";

export class Readline {
  #buffer = "";
  #cursor = 0;
  /** What the terminal shows. */
  #shown = "";
  #shownCursor = 0;
  #state: State = "normal";
  #param = 0;
  #history: string[] = [];
  /** Index of the history line being shown, or -1. */
  #entry = -1;

  constructor(private readonly host: ReadlineHost, private readonly prompt: string) {}

  /** Lines entered, the oldest first. */
  get history(): readonly string[] {
    return this.#history;
  }

  /** Forgets the line being edited. */
  restart(): void {
    this.#buffer = "";
    this.#cursor = 0;
  }

  showPrompt(): void {
    this.host.print(this.prompt);
    this.#shown = "";
    this.#shownCursor = 0;
    this.#state = "normal";
  }

  /** Takes a byte from the terminal. */
  handleByte(ch: number): void {
    switch (this.#state) {
      case "normal":
        this.#normal(ch);
        break;
      case "escape":
        this.#state = ch === 0x5b ? "csi" : ch === 0x4f ? "ss3" : "normal";
        this.#param = 0;
        break;
      case "csi":
        this.#csi(ch);
        break;
      case "ss3":
        if (ch === 0x46) this.#cursor = this.#buffer.length;
        if (ch === 0x48) this.#cursor = 0;
        this.#state = "normal";
        break;
    }
    this.#update();
  }

  #normal(ch: number): void {
    switch (ch) {
      case 1: // Ctrl-a
        this.#cursor = 0;
        return;
      case 4: // Ctrl-d
        return this.#delete();
      case 5: // Ctrl-e
        this.#cursor = this.#buffer.length;
        return;
      case 9:
        return this.#complete();
      case 10:
      case 13:
        return this.#enter();
      case 23: // Ctrl-w
        return this.#eraseWord();
      case 27:
        this.#state = "escape";
        return;
      case 8:
      case 127:
        return this.#backspace();
      case 155:
        this.#state = "csi";
        this.#param = 0;
        return;
      default:
        if (ch >= 32) this.#insert(String.fromCharCode(ch));
    }
  }

  #csi(ch: number): void {
    const char = String.fromCharCode(ch);
    if (char >= "0" && char <= "9") {
      this.#param = Math.min(this.#param * 10 + ch - 48, 9999);
      return;
    }
    this.#state = "normal";
    if (char === "A" || char === "F") this.#older();
    else if (char === "B" || char === "E") this.#newer();
    else if (char === "D") this.#cursor = Math.max(0, this.#cursor - 1);
    else if (char === "C") this.#cursor = Math.min(this.#buffer.length, this.#cursor + 1);
    else if (char === "H") this.#cursor = 0;
    else if (char === "~") {
      if (this.#param === 1) this.#cursor = 0;
      else if (this.#param === 3) this.#delete();
      else if (this.#param === 4) this.#cursor = this.#buffer.length;
    }
  }

  #insert(text: string): void {
    if (this.#buffer.length + text.length > MAX_LINE) return;
    this.#buffer = this.#buffer.slice(0, this.#cursor) + text + this.#buffer.slice(this.#cursor);
    this.#cursor += text.length;
  }

  #delete(): void {
    this.#buffer = this.#buffer.slice(0, this.#cursor) + this.#buffer.slice(this.#cursor + 1);
  }

  #backspace(): void {
    if (this.#cursor === 0) return;
    this.#cursor--;
    this.#delete();
  }

  #eraseWord(): void {
    let start = this.#cursor;
    while (start > 0 && this.#buffer[start - 1] === " ") start--;
    while (start > 0 && this.#buffer[start - 1] !== " ") start--;
    this.#buffer = this.#buffer.slice(0, start) + this.#buffer.slice(this.#cursor);
    this.#cursor = start;
  }

  #show(line: string): void {
    this.#buffer = line;
    this.#cursor = line.length;
  }

  #older(): void {
    if (this.#entry === 0 || this.#history.length === 0) return;
    this.#entry = (this.#entry < 0 ? this.#history.length : this.#entry) - 1;
    this.#show(this.#history[this.#entry]);
  }

  #newer(): void {
    if (this.#entry < 0) return;
    if (this.#entry + 1 < this.#history.length) this.#show(this.#history[++this.#entry]);
    else {
      this.#entry = -1;
      this.#show("");
    }
  }

  #enter(): void {
    const line = this.#buffer;
    this.#remember(line);
    this.host.print("\n");
    this.#buffer = this.#shown = "";
    this.#cursor = this.#shownCursor = 0;
    this.host.line(line);
  }

  /** A line entered again moves to the end. */
  #remember(line: string): void {
    if (line === "") return;
    this.#history = [...this.#history.filter((l) => l !== line), line].slice(-MAX_HISTORY);
    this.#entry = -1;
  }

  #complete(): void {
    const { typed, candidates } = this.host.complete(this.#buffer.slice(0, this.#cursor));
    const names = [...new Set(candidates)].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
    if (names.length === 0) return;
    if (names.length === 1) {
      this.#insert(names[0].slice(typed.length));
      if (!names[0].endsWith("/")) this.#insert(" ");
      return;
    }
    this.host.print("\n");
    let common = names[0];
    for (const n of names) {
      while (!n.startsWith(common)) common = common.slice(0, -1);
    }
    this.#insert(common.slice(typed.length));
    const width = Math.min(80, Math.max(10, Math.max(...names.map((n) => n.length)) + 2));
    const columns = Math.floor(80 / width);
    names.forEach((n, i) => {
      this.host.print(n.padEnd(width));
      if ((i + 1) % columns === 0 || i === names.length - 1) this.host.print("\n");
    });
    this.showPrompt();
  }

  #update(): void {
    if (this.#buffer !== this.#shown) {
      this.host.print("\x1b[D".repeat(this.#shownCursor) + this.#buffer + "\x1b[K");
      this.#shown = this.#buffer;
      this.#shownCursor = this.#buffer.length;
    }
    const delta = this.#cursor - this.#shownCursor;
    if (delta !== 0) this.host.print((delta > 0 ? "\x1b[C" : "\x1b[D").repeat(Math.abs(delta)));
    this.#shownCursor = this.#cursor;
  }
}
