// Two real nodes on one Redis, and a link between them that loses what it carried: a session on one of them follows
// what the other deletes meanwhile.
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import { groupActorId } from "../../src/services/service-ports.ts";
import { basicCredential } from "../support/app-world.ts";
import { ClusterProcess } from "../support/cluster-process.ts";
import { foundGroup } from "../support/found-group.ts";
import { WireClient } from "../support/wire-client.ts";

const [EDGE, OWNER] = [0, 1];

let cluster: ClusterProcess;
let token: string;
let owner: AegisClient;

beforeAll(async () => {
  cluster = await ClusterProcess.start({ nodes: 2, cuttable: true, env: { AEGIS_STREAM_CHECKS_PER_SECOND: "0" } });
  const operator = await connect({ url: cluster.server(OWNER).url, token: cluster.operatorToken });
  const { key } = await operator.application.create({ name: "purges" });
  await operator.close();
  token = key.secret;
  owner = await connect({ url: cluster.server(OWNER).url, token });
}, 60_000);

afterAll(async () => {
  await owner.close();
  await cluster.dispose();
});

async function ownedBy<T>(n: number, make: () => Promise<T>, addressOf: (made: T) => ActorAddress): Promise<T> {
  for (;;) {
    const made = await make();
    if ((await cluster.ownerOf(addressOf(made))) === n) return made;
  }
}

test("[G5] [F06] a purge whose notice was lost with its link ends the streams CLOSED on another node", async () => {
  const wire = await WireClient.connect(cluster.server(EDGE).port, token);
  const { applicationId } = await owner.application.get({});
  const groupId = await ownedBy(
    OWNER,
    () => foundGroup(owner),
    (id) => ({ applicationId, kind: "group", id: groupActorId(id) }),
  );
  let made = 0;
  const { clientId } = await ownedBy(
    OWNER,
    () => owner.identity.create({ clientIdentity: basicCredential(`purged ${String((made += 1))}`) }),
    ({ clientId: id }) => ({ applicationId, kind: "identity", id }),
  );
  const { result } = await wire.call("subscription.open", {});
  const { subscription } = result as { subscription: number };
  const added = await wire.call("subscription.add", {
    subscription,
    streams: [
      { kind: "group", id: groupId },
      { kind: "client", id: clientId },
    ],
  });
  const numbers = (added.result as { streams: { stream: number }[] }).streams.map(({ stream }) => stream);
  // Until it is attached, an update that comes by itself shows it.
  await owner.group.update({ groupId, settings: { pastEpochs: 0 } });
  await wire.until(() => wire.of("event").length > 0, "the first event");

  const { peers } = cluster.cuts(OWNER);
  peers.hold(["toClient"]);
  await owner.group.delete({ groupId });
  await owner.identity.delete({ clientId });
  peers.reset();
  cluster.heal();

  await wire.until(() => wire.of("reset").length >= 2, "both resets");
  const resets = wire.of("reset").map(({ stream, reason }) => ({ stream, reason }));
  expect(resets).toHaveLength(2);
  for (const stream of numbers) expect(resets).toContainEqual({ stream, reason: "CLOSED" });
  wire.socket.terminate();
}, 60_000);
