// Bundles the components and writes each beside the Python that mounts it, under a name that carries its hash.
// The header records a hash of the sources and the lock file, which a test compares without needing node.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const outputRoot = process.argv[2] ? resolve(process.argv[2]) : resolve(here, "..");

// The same files, in the same order and form, as tests/house/test_components_built.py reads them.
function hashSources() {
  const names = readdirSync(join(here, "src")).map((name) => `src/${name}`);
  const hash = createHash("sha256");
  for (const name of [...names, "build.mjs", "package.json", "package-lock.json"].sort()) {
    hash.update(`${name}\n`).update(readFileSync(join(here, name), "utf8").replaceAll("\r\n", "\n"));
  }
  return hash.digest("hex");
}

function collectLicences(inputs) {
  const packages = new Set();
  for (const input of Object.keys(inputs)) {
    const match = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (match) packages.add(match[1]);
  }
  const byText = new Map();
  for (const name of [...packages].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    if (license !== "MIT") throw new Error(`${name} has the licence ${license}: decide before it is shipped`);
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} ships no licence text`);
    const text = readFileSync(join(folder, file), "utf8").trim();
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version}`]);
  }
  return [...byText].map(([text, names]) => `${names.join("\n")}\n\n${text}\n`).join(`\n${"-".repeat(80)}\n\n`);
}

const sources = hashSources();
for (const name of ["editor", "live"]) {
  const result = await build({
    entryPoints: [join(here, "src", `${name}.js`)],
    absWorkingDir: here,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
  });
  const licences = collectLicences(result.metafile.inputs);
  const notice = licences ? `Contains the packages named here, each under its licence.\n\n${licences}`.replaceAll("*/", "* /") : "";
  const text = `/* spellbook ${name}; sources sha256 ${sources}\n${notice}*/\n${result.outputFiles[0].text}`;
  const folder = join(outputRoot, name, "static");
  mkdirSync(folder, { recursive: true });
  for (const old of readdirSync(folder)) {
    if (old.startsWith(`${name}-`) && old.endsWith(".js")) rmSync(join(folder, old));
  }
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 10);
  writeFileSync(join(folder, `${name}-${digest}.js`), text);
  if (licences) writeFileSync(join(folder, "LICENSES.txt"), licences);
}
