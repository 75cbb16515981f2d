/** Registers the x87 instructions that TypeScript carries out. */
import "./x87.ts";
import "./x87_env.ts";
import "./x87_bcd.ts";
import "./x87_transcendental.ts";
