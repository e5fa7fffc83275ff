// The common names of an X.501 Name (RFC 5280 §4.1.2.4). Judges no character: what a handle may hold is said in
// identity-names.ts. Two Names are the same when their bytes are; RFC 5280 asks CAs to write them alike.
import { malformedDer, readWholeDer, TAG, type DerReader } from "./der-reader.ts";

/** undefined: of a string type that is not read, or not of the characters that its type says. */
export type CommonName = string | undefined;

const COMMON_NAME = "2.5.4.3";
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

/** @param name the DER of the Name @throws MalformedDer */
export function commonNamesIn(name: Uint8Array): readonly CommonName[] {
  return readWholeDer(name, (reader) => {
    const relativeNames = reader.inside(TAG.sequence);
    const found: CommonName[] = [];
    while (!relativeNames.done) {
      const attributes = relativeNames.inside(TAG.set);
      if (attributes.done) malformedDer("an empty relative name");
      while (!attributes.done) readAttribute(attributes.inside(TAG.sequence), found);
    }
    return found;
  });
}

function readAttribute(attribute: DerReader, found: CommonName[]): void {
  const type = attribute.objectIdentifier();
  const { tag, content } = attribute.any();
  attribute.expectEnd();
  if (type === COMMON_NAME) found.push(textOf(tag, content));
}

/** The string types that RFC 5280 lets new certificates use, and IA5String, which is ASCII too. */
function textOf(tag: number, content: Uint8Array): CommonName {
  if (tag !== TAG.utf8String && tag !== TAG.printableString && tag !== TAG.ia5String) return undefined;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    // The decoder's only way of saying that these are not UTF-8.
    return undefined;
  }
  if (tag === TAG.printableString && !PRINTABLE.test(text)) return undefined;
  if (tag === TAG.ia5String && text.length !== content.length) return undefined;
  return text;
}
