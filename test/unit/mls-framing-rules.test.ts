// [M2] what a message may not be, whoever signed it: the rules that the decoders name.
import { describe, expect, it } from "vitest";
import { Writer } from "../../src/mls/codec/writer.ts";
import { readGroupMessage } from "../../src/mls/framing.ts";
import { encodeMessage } from "../../src/mls/message.ts";
import { WIRE_FORMAT } from "../../src/mls/registries.ts";
import { externalSender, memberSender, NEW_MEMBER, SyntheticGroup } from "../support/synthetic-group.ts";
import { proposals, type BuiltProposal } from "../support/synthetic-structs.ts";

const group = SyntheticGroup.create(2);
const JOINER = Uint8Array.of(4);
const COMMIT = 3;
/** No proposals and no path. */
const emptyCommit = new Writer().length(0).u8(0).finish();

/** A PublicMessage of any sender with any content, its tags random: none of it is looked at. */
function message(sender: Uint8Array, contentType: number, content: Uint8Array): Uint8Array {
  const writer = new Writer().opaque(group.group.groupId).u64(group.group.epoch).raw(sender).length(0);
  writer.u8(contentType).raw(content).opaque(new Uint8Array(64));
  if (contentType === COMMIT) writer.opaque(new Uint8Array(32));
  if (sender[0] === 1) writer.opaque(new Uint8Array(32));
  return encodeMessage(WIRE_FORMAT.publicMessage, writer.finish());
}

function proposal({ bytes }: BuiltProposal): Uint8Array {
  return message(memberSender(0), 2, bytes);
}

describe("[M2] the framing of a message", () => {
  it.each([
    ["a member's proposal", proposal(proposals.remove(1))],
    ["a member's commit", message(memberSender(0), COMMIT, emptyCommit)],
    ["an external sender's proposal", message(externalSender(0), 2, proposals.remove(1).bytes)],
    ["a joiner's commit", message(JOINER, COMMIT, emptyCommit)],
  ])("lets %s through", (_, bytes) => {
    expect(readGroupMessage(bytes)).toMatchObject({ kind: "ok" });
  });

  it.each([
    ["an external sender", externalSender(0)],
    ["a new member", NEW_MEMBER],
  ])("SENDER_CONTENT refuses the commit of %s", (_, sender) => {
    const decoded = readGroupMessage(message(sender, COMMIT, emptyCommit));
    expect(decoded).toMatchObject({ kind: "malformed", rule: "SENDER_CONTENT", section: "6" });
  });

  it("SENDER_CONTENT refuses an external joiner's proposal", () => {
    const decoded = readGroupMessage(message(JOINER, 2, proposals.remove(1).bytes));
    expect(decoded).toMatchObject({ kind: "malformed", rule: "SENDER_CONTENT", section: "6" });
  });

  it("APPLICATION_IN_PUBLIC refuses application data that anybody could read", () => {
    // What the content is read as, were it let through, is no application data: so it is refused by its type.
    const decoded = readGroupMessage(message(memberSender(0), 1, emptyCommit));
    expect(decoded).toMatchObject({ kind: "malformed", rule: "APPLICATION_IN_PUBLIC", section: "6.2" });
  });

  it("EXTENSION_REPEATED refuses a list with one type twice", () => {
    const twice = { type: 0xf001, data: Uint8Array.of(1) };
    const decoded = readGroupMessage(proposal(proposals.contextExtensions([twice, twice])));
    expect(decoded).toMatchObject({ kind: "malformed", rule: "EXTENSION_REPEATED", section: "13.4" });
    expect(readGroupMessage(proposal(proposals.contextExtensions([twice])))).toMatchObject({ kind: "ok" });
  });

  it("MALFORMED refuses a byte after a message", () => {
    const whole = proposal(proposals.remove(1));
    const decoded = readGroupMessage(Uint8Array.from([...whole, 0]));
    expect(decoded).toMatchObject({ kind: "malformed", rule: "MALFORMED", section: "2.1" });
  });
});
