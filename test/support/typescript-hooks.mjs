// What typescript-loader.mjs asks for: takes the types out of our sources as they are loaded. What was taken out
// once is kept under node_modules/.cache, because loading the compiler takes longer than most tests.
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const cache = path.join(import.meta.dirname, "../../node_modules/.cache/aegis-tests");

export async function load(url, context, nextLoad) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return nextLoad(url, context);
  const source = await plainSource(fileURLToPath(url));
  return { format: "module", source, shortCircuit: true };
}

async function plainSource(file) {
  const source = await readFile(file, "utf8");
  const kept = path.join(cache, `${createHash("sha256").update(source).digest("hex")}.js`);
  try {
    return await readFile(kept, "utf8");
  } catch {
    // Not there yet.
  }
  const { default: ts } = await import("typescript");
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true };
  const { outputText } = ts.transpileModule(source, { fileName: file, compilerOptions });
  await mkdir(cache, { recursive: true });
  // Several processes may do this at once: each writes its own file, and any of them will do.
  await writeFile(`${kept}.${process.pid}`, outputText);
  await rename(`${kept}.${process.pid}`, kept);
  return outputText;
}
