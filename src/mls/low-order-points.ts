// Points of low order on the Montgomery curves. Whoever encrypts to one gets the all-zero secret and must stop (RFC 9180
// §7.1.4): a leaf with such a key would let nobody commit a path. Lengths are not judged here.

/** u-coordinates in hex, little-endian: 0, 1, −1 and what equals them below 2^255 and 2^448; of X25519 two of order 8. */
const LOW_ORDER = {
  x25519: new Set([
    "00".repeat(32),
    "01" + "00".repeat(31),
    "ec" + "ff".repeat(30) + "7f",
    "ed" + "ff".repeat(30) + "7f",
    "ee" + "ff".repeat(30) + "7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  ]),
  x448: new Set([
    "00".repeat(56),
    "01" + "00".repeat(55),
    "fe" + "ff".repeat(27) + "fe" + "ff".repeat(27),
    "ff".repeat(28) + "fe" + "ff".repeat(27),
    "00".repeat(28) + "ff".repeat(28),
  ]),
} as const;

const TOP_BIT = 0x80;

export function isOfLowOrder(scheme: keyof typeof LOW_ORDER, publicKey: Uint8Array): boolean {
  const bytes = Buffer.from(publicKey);
  // The top bit of an X25519 key is ignored (RFC 7748 §5).
  if (scheme === "x25519" && bytes.length > 0) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) & ~TOP_BIT;
  return LOW_ORDER[scheme].has(bytes.toString("hex"));
}
