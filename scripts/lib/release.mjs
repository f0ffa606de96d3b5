// What a release must fulfil, as questions about texts and lists; scripts/release.mjs asks them.

const SEMVER = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/;
const ALLOWED = [
  /^(LICENSE|NOTICE|README\.md|package\.json)$/,
  /^dist\/(?!.*(\.test\.|\.env|\.pem$|\.sqlite|\.tgz$|\.log$)).*\.(js|mjs|map|ts|wasm|oasm|json|md|html|css|svg|png|ico|webmanifest)$/,
  /^dist\/starter\/gitignore$/,
];
const FORBIDDEN = [/^dist\/demo\/runtimes\//, /\.test\./, /^dist\/types\/.*(?<!\.d)\.ts$/];
const AT_INSTALL = ["preinstall", "install", "postinstall", "prepare", "prepublish"];

/** Null when the text is no version. */
export function readVersion(text) {
  const [, major, minor, patch, pre] = SEMVER.exec(text) ?? [];
  return major === undefined ? null : { numbers: [major, minor, patch].map(Number), pre };
}

/** Whether `a` comes after `b`; both are versions. Of two pre-releases of one version the later text is the later one. */
export function isAfter(a, b) {
  const [one, other] = [readVersion(a), readVersion(b)];
  for (const at of [0, 1, 2]) if (one.numbers[at] !== other.numbers[at]) return one.numbers[at] > other.numbers[at];
  if (one.pre === undefined || other.pre === undefined) return one.pre === undefined && other.pre !== undefined;
  return one.pre.localeCompare(other.pre, "en", { numeric: true }) > 0;
}

/** What is wrong with the changelog for this version; empty when nothing. */
export function changelogFaults(text, version) {
  const sections = text.split(/^## /m).slice(1);
  const section = sections.find(
    (one) => one === version || one.startsWith(`${version} `) || one.startsWith(`${version}\n`),
  );
  if (!section) return [`CHANGELOG.md has no section ## ${version}`];
  const [title, ...lines] = section.split("\n");
  const faults = [];
  if (section !== sections[0]) faults.push(`CHANGELOG.md: ## ${version} is not the newest section`);
  if (!/^\S+ \(\d{4}-\d{2}-\d{2}\)$/.test(title))
    faults.push(`CHANGELOG.md: '## ${title}' must name the day: ## ${version} (2030-01-31)`);
  if (!lines.some((line) => line.startsWith("- "))) faults.push(`CHANGELOG.md: ## ${version} says nothing`);
  return faults;
}

/** What is wrong with a manifest that is about to be published; empty when nothing. */
export function manifestFaults(manifest) {
  const faults = [];
  if (manifest.private) faults.push("package.json is private");
  if (Object.keys(manifest.dependencies ?? {}).length > 0)
    faults.push("package.json has dependencies: pages must load none");
  for (const name of AT_INSTALL)
    if (manifest.scripts?.[name]) faults.push(`package.json: the script '${name}' would run at installation`);
  return faults;
}

/** Every file that the manifest's exports and commands name, without patterns. */
export function namedFiles({ exports, bin }) {
  const files = Object.values(bin);
  const walk = (target) => {
    if (typeof target === "string") files.push(target);
    else for (const inner of Object.values(target)) walk(inner);
  };
  walk(exports);
  return [...new Set(files.map((file) => file.replace(/^\.\//, "")))].filter((file) => !file.includes("*")).sort();
}

/** What a tarball has that it should not, and what it lacks; empty when nothing. */
export function contentFaults(paths, manifest) {
  const packed = new Set(paths);
  const strange = paths.filter(
    (path) => !ALLOWED.some((pattern) => pattern.test(path)) || FORBIDDEN.some((pattern) => pattern.test(path)),
  );
  return [
    ...strange.map((path) => `the package would hold ${path}`),
    ...namedFiles(manifest)
      .filter((path) => !packed.has(path))
      .map((path) => `the package would lack ${path}, which package.json names`),
  ];
}
