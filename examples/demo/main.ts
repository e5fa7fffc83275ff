// `npm run demo [-- --store redis://HOST:PORT [--nodes 3] | --url ws://HOST:PORT]`: the seven steps and a crash, with
// real MLS clients on servers of its own, or on a deployment that runs (AEGIS_OPERATOR_KEY holds its operator's key).
// Prints what happens; ends non-zero unless all members agree in the end.
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { connect } from "aegis-mls/client";
import { ApplicationServer } from "./application-server.ts";
import { runningServers, startServers, type Servers } from "./servers.ts";
import { agree, foundGroup, race, refuseBroken, registerEverybody, removeLaptop, survive, talk } from "./story.ts";
import { Transcript } from "./transcript.ts";

const USAGE = `usage:
  npm run demo                                              on a server of its own, with the embedded store
  npm run demo -- --store redis://HOST:PORT [--nodes N]     on servers of its own, on this Redis; redis+sentinel:// and
                                                            redis+cluster:// likewise
  npm run demo -- --url ws://HOST:PORT                      on a deployment; AEGIS_OPERATOR_KEY holds its key`;

const say = new Transcript();
const servers = await chosenServers().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
});
try {
  const agreed = await play();
  console.log(agreed ? "\nAll members agree." : "\nThe members do not agree.");
  process.exitCode = agreed ? 0 : 1;
} catch (error) {
  console.error(error);
  console.error(servers.output);
  process.exitCode = 1;
} finally {
  await servers.dispose();
}

async function play(): Promise<boolean> {
  say.scene("An application is defined");
  const url = servers.urls;
  const operator = await connect({ url, token: servers.operatorToken });
  const { applicationId, key } = await operator.application.create({ name: "demo" });
  say.line("operator", `application ${applicationId}; its first key is ${key.keyId}`);
  const backEnd = await connect({ url, token: key.secret, ttlMs: 30_000 });
  const groupId = new Uint8Array(randomBytes(16));
  const application = new ApplicationServer(backEnd, groupId, say);
  const carrying = application.run();
  const broken = carrying.then(() => {
    throw new Error("The streams ended early");
  });

  const telling = tell();
  const agreed = await Promise.race([telling, broken]);
  application.close();
  await carrying;
  await operator.application.delete({ applicationId });
  await Promise.all([backEnd.close(), operator.close()]);
  return agreed;

  async function tell(): Promise<boolean> {
    say.scene("Identities");
    const cast = await registerEverybody(application);
    say.scene("Key pools");
    for (const registered of Object.values(cast)) await application.fillPool(registered);
    say.scene("Keys are fetched, the group is created, the others join");
    await foundGroup(backEnd, application, cast, say);
    say.scene("Two members commit at once");
    await race(application, cast, say);
    say.scene("A broken commit is refused, and the group goes on");
    await refuseBroken(application, cast, say);
    say.scene("They talk");
    await talk(application, cast, say);
    if (servers.victims !== undefined) {
      say.scene(servers.victims.count === 1 ? "The server is killed" : "The node that they are connected to is killed");
      await survive(servers.victims, backEnd, application, cast, say);
    }
    say.scene("Alice's laptop is removed");
    await removeLaptop(application, cast, say);
    say.scene("Do all members agree?");
    return agree(backEnd, application, groupId, say);
  }
}

/** @throws Error with the usage */
async function chosenServers(): Promise<Servers> {
  const options = {
    store: { type: "string" },
    nodes: { type: "string", default: "1" },
    url: { type: "string" },
  } as const;
  const { values } = readWords(() => parseArgs({ options }));
  const { store, url, nodes } = values;
  if (url !== undefined) {
    const operatorToken = process.env["AEGIS_OPERATOR_KEY"] ?? "";
    if (store !== undefined || nodes !== "1" || operatorToken === "") throw new Error(USAGE);
    return runningServers(url, operatorToken);
  }
  if (store !== undefined && !/^rediss?(\+(sentinel|cluster))?:\/\//.test(store)) throw new Error(USAGE);
  if (!/^[1-9]$/.test(nodes) || (store === undefined && nodes !== "1")) throw new Error(USAGE);
  return startServers(store, Number(nodes));
}

function readWords<T>(read: () => T): T {
  try {
    return read();
  } catch {
    // What is wrong with the words shows best beside what they may be.
    throw new Error(USAGE);
  }
}
