// Lets a process (`node --import`) and its worker threads run our TypeScript sources as they are, without a build.
import { register } from "node:module";

register("./typescript-hooks.mjs", import.meta.url);
