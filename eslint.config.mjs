// Lint rules: what a compiler can't see. Sizes and names follow CONTRIBUTING.md.
import tseslint from "typescript-eslint";

// Files above the line limit, each with the reason why it still holds one idea. A file leaves this list when it
// shrinks; an entry without a reason, or for a file that is short, fails test/contract/tidiness.test.ts.
export const longFiles = {
  "src/actors/actor-host.ts":
    "activation, turns and eviction share the one map of live actors; its parts are files already",
  "src/actors/identity-machine.ts": "one machine: every command and refusal of a client, to be read as a whole",
  "src/actors/shard-runner.ts": "one batch in flight: sending it, its every answer and claiming anew are one sequence",
};

const restrictedExports = [
  { selector: "ExportDefaultDeclaration", message: "Named exports only." },
  { selector: "ExportAllDeclaration", message: "No barrels: import from the file that says it." },
];

const reasonedDisables = {
  rules: {
    "disable-needs-reason": {
      create: (context) => ({
        Program() {
          for (const comment of context.sourceCode.getAllComments()) {
            if (/^\s*eslint-disable/.test(comment.value) && !/ -- \S/.test(comment.value)) {
              context.report({ loc: comment.loc, message: "Say why: `eslint-disable… RULE -- the reason`." });
            }
          }
        },
      }),
    },
  },
};

export default tseslint.config(
  { ignores: ["**/dist", ".dist-*", "coverage", "data"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/return-await": ["error", "error-handling-correctness-only"],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      // Off: it does not see what changes during an await, nor what JavaScript callers may pass.
      "@typescript-eslint/no-unnecessary-condition": "off",
      // Off: ports are interfaces of functions that need no `this`, handed on one by one.
      "@typescript-eslint/unbound-method": "off",
      // Off: it forbids `Promise.all` over what is partly there already.
      "@typescript-eslint/await-thenable": "off",
      // The ports are async; a driver that can answer at once still implements them.
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    files: ["**/*.ts", "**/*.mjs"],
    plugins: { aegis: reasonedDisables },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "aegis/disable-needs-reason": "error",
      eqeqeq: "error",
      "no-console": "error",
      "no-empty": "error",
      "prefer-const": "error",
      "no-restricted-syntax": [
        "error",
        ...restrictedExports,
        {
          selector: "Program > VariableDeclaration[kind='let']",
          message: "No module-level mutable state: dependencies are arguments.",
        },
      ],
      "max-lines": ["error", { max: 275, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    // Suites nest: a `describe` is a function too.
    files: ["test/**"],
    rules: {
      "max-lines-per-function": "off",
      // A suite goes through every state and refusal of its subject.
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      // What `beforeAll` makes for a file's tests is declared beside them.
      "no-restricted-syntax": ["error", ...restrictedExports],
      "@typescript-eslint/no-non-null-assertion": "off",
      // What a worker died of is thrown again as it was.
      "@typescript-eslint/only-throw-error": "off",
    },
  },
  {
    files: ["test/**", "scripts/**", "examples/**", "bench/**", "src/main.ts", "src/cli/**"],
    rules: { "no-console": "off" },
  },
  { files: ["*.config.ts", "*.config.mjs"], rules: { "no-restricted-syntax": "off" } },
  ...Object.keys(longFiles).map((file) => ({ files: [file], rules: { "max-lines": "off" } })),
);
