// Points of low order on Curve25519 and Curve448, in both their forms. Whoever encrypts to one gets the all-zero secret
// and must stop (RFC 9180 §7.1.4); with one as key or in a signature, anything verifies for some verifiers and nothing for
// others. Nobody who makes keys as told gets one. Lengths are not judged here.

/** Coordinates in hex, little-endian, the sign's bit or byte at 0: 0, 1, −1 and what equals them modulo the prime. */
const COMMON_25519 = [
  "00".repeat(32),
  "01" + "00".repeat(31),
  "ec" + "ff".repeat(30) + "7f",
  "ed" + "ff".repeat(30) + "7f",
  "ee" + "ff".repeat(30) + "7f",
];
const COMMON_448 = [
  "00".repeat(56),
  "01" + "00".repeat(55),
  "fe" + "ff".repeat(27) + "fe" + "ff".repeat(27),
  "ff".repeat(28) + "fe" + "ff".repeat(27),
  "00".repeat(28) + "ff".repeat(28),
];

const LOW_ORDER = {
  x25519: new Set([
    ...COMMON_25519,
    // Of order 8.
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  ]),
  ed25519: new Set([
    ...COMMON_25519,
    // Of order 8.
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ]),
  x448: new Set(COMMON_448),
  ed448: new Set(COMMON_448.map((coordinate) => coordinate + "00")),
} as const;

const TOP_BIT = 0x80;

export function isOfLowOrder(scheme: keyof typeof LOW_ORDER, point: Uint8Array): boolean {
  const bytes = Buffer.from(point);
  // The sign of an Edwards point; of X25519 a bit that is ignored (RFC 7748 §5).
  if (scheme !== "x448" && bytes.length > 0) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) & ~TOP_BIT;
  return LOW_ORDER[scheme].has(bytes.toString("hex"));
}
