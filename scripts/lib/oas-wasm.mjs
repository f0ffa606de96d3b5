// Runs the WebAssembly build of `oas` like a program: node oas-wasm.mjs <oas.mjs> <arguments>.
import { pathToFileURL } from "node:url";

const [file, ...args] = process.argv.slice(2);
const { default: create } = await import(pathToFileURL(file).href);
process.exitCode = (await create()).callMain(args);
