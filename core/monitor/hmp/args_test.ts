import { assertEquals, assertThrows } from "../../std/assert.ts";
import { parseArgs, splitWords } from "./args.ts";
import { parseExpression, Scanner } from "./expr.ts";
import { dumpItem, formatValue, quoteChar } from "./memory.ts";

const register = (name: string) => ({ eip: 0xfff0n, "cs.base": 0xffff0000n })[name];
const value = (text: string) => parseExpression(new Scanner(text, 0), register);

Deno.test("expressions have the values QEMU 7.2 gives them", () => {
  const cases: [string, bigint][] = [
    ["1+2", 3n],
    ["$eip", 0xfff0n],
    ["$eip + $cs.base", 0xfffffff0n],
    ["5|2&1", 1n],
    ["1+2&3", 3n],
    ["7%4*2+1", 7n],
    ["'a'", 0x61n],
    ["~0", -1n],
    ["-1", -1n],
    ["- - ~ 5", -6n],
    ["0x7fffffffffffffff + 1", -(2n ** 63n)],
    ["0xffffffffffffffff", -1n],
    ["017", 15n],
    ["2 * (3 + 4)", 14n],
    ["-7 / 2", -3n],
    ["6 ^ 3", 5n],
  ];
  for (const [text, expected] of cases) assertEquals(value(text), expected, text);
});

Deno.test("mistakes in expressions have QEMU's words", () => {
  const cases: [string, string][] = [
    ["", "unexpected end of expression"],
    ["1 +", "unexpected end of expression"],
    ["$foo", "unknown register"],
    ["$", "unknown register"],
    ["1/0", "division by zero"],
    ["1%0", "division by zero"],
    ["(1+2", "')' expected"],
    ["abc", "invalid char 'a' in expression"],
    ['"', "invalid char '\"' in expression"],
    ["'", "character constant expected"],
    ["'a", "missing terminating ' character"],
    ["99999999999999999999", "number too large"],
  ];
  for (const [text, words] of cases) {
    assertEquals(assertThrows(() => value(text)).message, words, text);
  }
});

Deno.test("an expression that only nests ends with a message", () => {
  assertEquals(assertThrows(() => value("(".repeat(4000))).message, "')' expected");
  assertEquals(value("-".repeat(4000) + "1"), 1n);
});

function parse(type: string, text: string, defaults = { format: "x", size: 4 }) {
  return parseArgs(type, text, 0, { name: "cmd", register, defaults });
}

Deno.test("arguments are read by their types", () => {
  const screendump = "filename:F,format:-fs,device:s?,head:i?";
  const a = parse(screendump, "a.png -f png");
  assertEquals([a.text("filename"), a.text("format"), a.text("device")], [
    "a.png",
    "png",
    undefined,
  ]);
  assertEquals(parse("a:s,b:s?", '"x \\"y\\n" ').text("a"), 'x "y\n');
  assertEquals(parse("force:-f,device:B", "-f cd").flag("force"), true);
  assertEquals(parse("nodes:-n,verbose:-v,device:B?", "-v").flag("verbose"), true);
  assertEquals(parse("b:b", "off").flag("b"), false);
  assertEquals(parse("name:S?", "a b  c").text("name"), "a b  c");
  assertEquals(parse("fmt:/,addr:i,index:i.", "0x70.1").integer("index"), 1n);
  assertEquals(splitWords('a "b c" d'), ["a", "b c", "d"]);
  assertEquals(splitWords('a "b c'), { complaint: "unterminated string\n" });
});

Deno.test("formats keep what the command before used", () => {
  const defaults = { format: "x", size: 4 };
  const format = (text: string) => parse("fmt:/,addr:l", text, defaults).format;
  assertEquals(format("/8xb 0"), { count: 8, format: "x", size: 1 });
  assertEquals(format("0"), { count: 1, format: "x", size: 1 });
  assertEquals(format("/2i 0"), { count: 2, format: "i", size: -1 });
  assertEquals(format("0"), { count: 1, format: "i", size: -1 });
  assertEquals(format("/d 0"), { count: 1, format: "d", size: 1 });
});

Deno.test("wrong arguments have QEMU's words", () => {
  const cases: [string, string, string][] = [
    ["a:s", "", "cmd: string expected\n"],
    ["a:F", "", "cmd: filename expected\n"],
    ["a:B", "", "cmd: block device name expected\n"],
    ["a:s", '"x', "unterminated string\ncmd: string expected\n"],
    ["", "x", "cmd: extraneous characters at the end of line\n"],
    ["a:i", "0x100000000", "'cmd' has failed: integer is for 32-bit values\n"],
    ["a:i", "-1", "'cmd' has failed: integer is for 32-bit values\n"],
    ["fmt:/,a:l", "/q 0", "invalid char in format: 'q'\n"],
    ["f:-f,a:B", "-z", "cmd: unsupported option -z\n"],
    ["f:-f,a:B", "-", "cmd: unsupported option -"],
    ["a:F,f:-fs", "x -f", "cmd: value expected for -f\n"],
    ["a:s,b:b", "x y", "Expected 'on' or 'off'\n"],
  ];
  for (const [type, text, words] of cases) {
    assertEquals(assertThrows(() => parse(type, text)).message, words, `${type} ${text}`);
  }
});

Deno.test("values are printed as QEMU 7.2 prints them", () => {
  assertEquals(formatValue(0n, "x"), "0");
  assertEquals(formatValue(8n, "o"), "010");
  assertEquals(formatValue(-1n, "u"), "18446744073709551615");
  assertEquals(formatValue(-1n, "d"), "-1");
  assertEquals([65n, 0x101n, 10n, 39n, 0xean].map(quoteChar), [
    "'A'",
    "'\\x101'",
    "'\\n'",
    "'\\''",
    "'\\xea'",
  ]);
  assertEquals(dumpItem(224n, "d", 2), "  224");
  assertEquals(dumpItem(0xffffn, "d", 2), "65535");
  assertEquals(dumpItem(0xffff_ffff_ffff_ffffn, "d", 8), "                  -1");
  assertEquals(dumpItem(224n, "o", 2), "  0340");
  assertEquals(dumpItem(91n, "u", 1), " 91");
  assertEquals(dumpItem(0x12n, "x", 8), "0x0000000000000012");
});
