// `npm run demo [-- --store redis://HOST:PORT]`: the seven steps and a crash, with real MLS clients on a server of
// its own. Prints what happens; ends non-zero unless all members agree in the end.
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { connect } from "aegis-mls/client";
import { ServerProcess } from "../../test/support/server-process.ts";
import { ApplicationServer } from "./application-server.ts";
import { agree, foundGroup, race, refuseBroken, registerEverybody, removeLaptop, survive, talk } from "./story.ts";
import { Transcript } from "./transcript.ts";

const say = new Transcript();
const { values } = parseArgs({ options: { store: { type: "string" } } });
const redisUrl = values.store;
if (redisUrl !== undefined && !/^rediss?:\/\//.test(redisUrl)) {
  console.error("usage: npm run demo [-- --store redis://HOST:PORT]");
  process.exit(2);
}
const server = await ServerProcess.start({
  ...(redisUrl !== undefined && { redisUrl, env: { AEGIS_PREFIX: `demo-${randomBytes(4).toString("hex")}` } }),
});
try {
  const agreed = await play();
  console.log(agreed ? "\nAll members agree." : "\nThe members do not agree.");
  process.exitCode = agreed ? 0 : 1;
} catch (error) {
  console.error(error);
  console.error(server.output);
  process.exitCode = 1;
} finally {
  await server.dispose();
}

async function play(): Promise<boolean> {
  say.scene("An application is defined");
  const operator = await connect({ url: server.url, token: server.operatorToken });
  const { applicationId, key } = await operator.application.create({ name: "demo" });
  say.line("operator", `application ${applicationId}; its first key is ${key.keyId}`);
  const backEnd = await connect({ url: server.url, token: key.secret, ttlMs: 30_000 });
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
    say.scene("The server is killed");
    await survive(server, application, cast, say);
    say.scene("Alice's laptop is removed");
    await removeLaptop(application, cast, say);
    say.scene("Do all members agree?");
    return agree(backEnd, application, groupId, say);
  }
}
