import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { configurationDocument } from "../../src/configuration-document.ts";
import { environmentName, SERVER_SETTINGS } from "../../src/config.ts";
import { LIMIT_SETTINGS } from "../../src/limit-settings.ts";

it("docs/CONFIGURATION.md says what the settings say (write it anew with `npx vitest run -u` on this file)", async () => {
  await expect(configurationDocument()).toMatchFileSnapshot("../../docs/CONFIGURATION.md");
});

it("docs/CONFIGURATION.md names every setting and its variable", async () => {
  const held = await readFile(new URL("../../docs/CONFIGURATION.md", import.meta.url), "utf8");
  for (const name of Object.keys({ ...SERVER_SETTINGS, ...LIMIT_SETTINGS })) {
    expect(held).toContain(`| \`${name}\` | \`${environmentName(name)}\` |`);
  }
});
