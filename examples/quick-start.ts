// The README's sample. Run it with the operator's key: AEGIS_OPERATOR_KEY="$(cat data/operator-key)"
import { connect } from "aegis-mls/client";

const url = process.env["AEGIS_URL"] ?? "ws://127.0.0.1:7400";
const operator = await connect({ url, token: process.env["AEGIS_OPERATOR_KEY"] ?? "" });
const { key } = await operator.application.create({ name: "my application" });
await operator.close();

// Keep key.secret: it is shown once.
const aegis = await connect({ url, token: key.secret });
const name = new TextEncoder().encode("alice");
const clientIdentity = Uint8Array.of(0, 1, name.length, ...name); // a basic credential, RFC 9420 §5.3
const alice = await aegis.identity.create({ clientIdentity, tags: ["account:alice"] });

const inbox = aegis.subscribe();
await inbox.add([{ kind: "client", id: alice.clientId }]);
await aegis.identity.update({ clientId: alice.clientId, clientIdentity: Uint8Array.of(0, 1, 2, 0x61, 0x6c) });
for await (const item of inbox) {
  console.log(item.kind === "event" ? item.type : item.reason); // identity.updated
  break;
}
await aegis.close();
