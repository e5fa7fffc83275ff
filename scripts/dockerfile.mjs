// Reads the few Dockerfile instructions that ours uses into stages; an instruction it does not know is an error,
// so that nothing in the image goes unrehearsed. Plain Node.

const knownInstructions = new Set("FROM WORKDIR COPY RUN ENV USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD".split(" "));

/** @returns {{ image: string, name: string, steps: { instruction: string, rest: string }[] }[]} */
export function parseDockerfile(text) {
  const stages = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [instruction, ...words] = line.trim().split(/\s+/);
    if (!knownInstructions.has(instruction)) throw new Error(`Dockerfile: ${instruction} is not rehearsed`);
    const rest = words.join(" ");
    if (instruction === "FROM") {
      const [image, , name = `stage${stages.length}`] = words;
      stages.push({ image, name, steps: [] });
    } else {
      stages.at(-1).steps.push({ instruction, rest });
    }
  }
  return stages;
}
