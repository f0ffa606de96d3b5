#!/usr/bin/env node
// Everything a checkout needs, once: npm packages, compilers, Emscripten, a browser and databases.

import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { helpFor } from "./lib/run.mjs";

helpFor("usage: npm run setup\n\nInstalls what building and testing need; does nothing when it is all there.");
await ensureModules();
await ensureToolchain({ wasm: true, browser: true, databases: true });
