/** Library functions of SSE4 integer semantics. */
import { I32 } from "../../wasm/expr.ts";
import { library } from "../library.ts";

/** CRC-32C polynomial 11EDC6F41h, bit-reflected. */
const CRC32C = 0x82f63b78;

/** (crc, data, bits of data) → crc. */
export const crc32 = library(
  "crc32c",
  { params: ["i32", "i64", "i32"], results: ["i32"] },
  (f) => {
    const crc = f.local("i32"), data = f.local("i64"), left = f.local("i32");
    crc.set(f.param(0, "i32"));
    data.set(f.param(1, "i64"));
    left.set(f.param(2, "i32"));
    f.loop((again) => {
      crc.set(crc.get().xor(data.get().wrap().and(0xff)));
      for (let n = 0; n < 8; n++) {
        crc.set(crc.get().shr_u(1).xor(I32.of(0).sub(crc.get().and(1)).and(CRC32C)));
      }
      data.set(data.get().shr_u(8));
      left.set(left.get().sub(8));
      f.brIf(again, left.get().ne(0));
    });
    f.return(crc.get());
  },
);
