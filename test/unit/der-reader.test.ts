// The DER that certificates are read from: one spelling for each value, and no other is taken.
import { describe, expect, test } from "vitest";
import { DerReader, MalformedDer, readWholeDer } from "../../src/mls/x509/der-reader.ts";
import { derInteger, derLength, derOid } from "../support/der-writer.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

describe("read", () => {
  test("lengths of one to four bytes", () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 100_000]) {
      const element = Uint8Array.from([4, ...derLength(length), ...new Uint8Array(length)]);
      expect(new DerReader(element).any().content.length).toBe(length);
    }
  });

  test("small integers and object identifiers", () => {
    for (const value of [0, 1, 127, 128, 255, 256, 65_536, 2 ** 31 - 1]) {
      expect(readWholeDer(derInteger(value), (reader) => reader.smallInteger())).toBe(value);
    }
    for (const oid of ["0.9.2342.19200300.100.1.1", "1.2.840.10045.4.3.2", "2.5.29.19", "2.999.3"]) {
      expect(readWholeDer(derOid(oid), (reader) => reader.objectIdentifier())).toBe(oid);
    }
  });
});

const any = (reader: DerReader) => reader.any();
const malformed: [string, string, (reader: DerReader) => unknown][] = [
  ["nothing", "", any],
  ["a tag alone", "04", any],
  ["fewer bytes than the length says", "04 02 00", any],
  ["bytes after the end", "04 00 00", any],
  ["a length in two bytes that fits one", "04 81 01 00", any],
  ["a length in three bytes that fits two", `04 82 00 80 ${"00".repeat(128)}`, any],
  ["a length without end (BER)", "30 80 00 00", any],
  ["a length of four bytes", "04 84 00 00 00 01 00", any],
  ["a reserved length", "04 ff", any],
  ["a tag of several bytes", "1f 81 01 00", any],
  ["another tag", "02 01 00", (reader) => reader.element(4)],
  ["a boolean of neither value", "01 01 01", (reader) => reader.boolean()],
  ["a boolean of two bytes", "01 02 ff ff", (reader) => reader.boolean()],
  ["an empty integer", "02 00", (reader) => reader.smallInteger()],
  ["a negative integer", "02 01 80", (reader) => reader.smallInteger()],
  ["an integer with a zero too many", "02 02 00 01", (reader) => reader.smallInteger()],
  ["a negative integer with a byte too many", "02 02 ff 80", (reader) => reader.integer()],
  ["an integer too large for its place", "02 05 01 00 00 00 00", (reader) => reader.smallInteger()],
  ["an empty object identifier", "06 00", (reader) => reader.objectIdentifier()],
  ["an object identifier that does not end", "06 02 2a 86", (reader) => reader.objectIdentifier()],
  ["an object identifier with a zero too many", "06 03 2a 80 01", (reader) => reader.objectIdentifier()],
  ["an object identifier too large", `06 0b 2a ${"ff".repeat(9)} 7f`, (reader) => reader.objectIdentifier()],
  ["a bit string that ends within a byte", "03 02 01 00", (reader) => reader.bitStringBytes()],
  ["an empty bit string", "03 00", (reader) => reader.bitStringBytes()],
];

describe("not read", () => {
  test.each(malformed)("%s", (_, hex, read) => {
    expect(() => readWholeDer(bytes(hex), read)).toThrow(MalformedDer);
  });
});
