/** SMART data of a healthy disk (ATA/ATAPI-5 8.54; the attributes are vendor practice). */

/** Features register values of the SMART command. */
export const SmartCommand = {
  READ_DATA: 0xd0,
  READ_THRESHOLDS: 0xd1,
  ATTRIBUTE_AUTOSAVE: 0xd2,
  EXECUTE_OFFLINE: 0xd4,
  READ_LOG: 0xd5,
  WRITE_LOG: 0xd6,
  ENABLE: 0xd8,
  DISABLE: 0xd9,
  RETURN_STATUS: 0xda,
} as const;

/** id, flags, value, worst, raw (low 32 bits), threshold. */
const attributes: readonly (readonly [number, number, number, number, number, number])[] = [
  [0x01, 0x03, 100, 100, 0x00000000, 6], // raw read error rate
  [0x03, 0x03, 100, 100, 0x00000010, 0], // spin up time
  [0x04, 0x02, 100, 100, 0x00000064, 20], // start/stop count
  [0x05, 0x03, 100, 100, 0x00000000, 36], // reallocated sectors
  [0x09, 0x03, 100, 100, 0x00000001, 0], // power-on hours
  [0x0c, 0x03, 100, 100, 0x00000000, 0], // power cycle count
  [0xbe, 0x03, 69, 69, 0x1f1f001f, 50], // airflow temperature, 31 °C
];

function finish(sector: Uint8Array): void {
  let sum = 0;
  for (let i = 0; i < 511; i++) sum += sector[i];
  sector[511] = -sum & 0xff;
}

/** The state of self tests, as the SMART data reports it. */
export interface SmartState {
  autosave: boolean;
  /** Self-test log entries so far, newest last, at most 21: test type each. */
  selfTests: number[];
}

export function smartData(into: Uint8Array, s: SmartState): void {
  into.fill(0, 0, 512);
  into[0] = 1; // data structure revision
  attributes.forEach(([id, flags, value, worst, raw], i) => {
    into.set([id, flags, 0, value, worst], 2 + 12 * i);
    for (let b = 0; b < 4; b++) into[7 + 12 * i + b] = (raw >>> (8 * b)) & 0xff;
  });
  into[362] = 0x02 | (s.autosave ? 0x80 : 0); // off-line collection completed
  into[363] = 0; // last self-test passed
  into[364] = 0x20; // 288 s of off-line collection
  into[365] = 0x01;
  into[367] = 0x01 | 0x08 | 0x10; // off-line immediate, scan, self-tests
  into[368] = 0x03; // saves attributes, autosave
  into[370] = 0x01; // error logging
  into[372] = 0x02; // minutes of a short self-test
  into[373] = 0x36; // minutes of an extended self-test
  into[374] = 0x01; // minutes of a conveyance self-test
  finish(into);
}

export function smartThresholds(into: Uint8Array): void {
  into.fill(0, 0, 512);
  into[0] = 1;
  attributes.forEach(([id, , , , , threshold], i) => {
    into[2 + 12 * i] = id;
    into[3 + 12 * i] = threshold;
  });
  finish(into);
}

/** A SMART log; false when there is none of that address. */
export function smartLog(into: Uint8Array, address: number, s: SmartState): boolean {
  into.fill(0, 0, 512);
  switch (address) {
    case 0x00: // directory: one sector of the self-test log
      into[0] = 1;
      into[2] = 1; // summary error log
      into[12] = 1; // self-test log
      return true;
    case 0x01: // summary error log: empty
      into[0] = 1;
      finish(into);
      return true;
    case 0x06: // self-test log
      into[0] = 1;
      s.selfTests.forEach((test, i) => {
        into[2 + 24 * i] = test;
        into[4 + 24 * i] = 1; // at power-on hour 1
      });
      into[508] = s.selfTests.length;
      finish(into);
      return true;
    default:
      return false;
  }
}
