/**
 * documents.wasm in Node: one instance, the rules it has been given, and a new instance after a trap.
 *
 * Documents are handed in and out whole, so an instance keeps nothing that a new one would lack.
 */

import { readFile } from "node:fs/promises";
import { DocumentsCore, type Edit, type Place, type RulesHandle } from "../../core/documents-core.ts";
import { OfflineSyncError } from "../../core/errors.ts";
import { simdSupported } from "../../core/load.ts";

/** Below what an instance takes; then a new one begins with none. */
const SCHEMAS_MAX = 1_000;
/** What the core calls the rules of a collection without a schema. */
const DEFAULTS: RulesHandle = 0;

export interface Merge {
  readonly core: DocumentsCore;
  /** `schema` as JSON text; "" and what is no usable schema give the defaults. */
  rules(schema: string): RulesHandle;
}

export class MergeCore {
  readonly #module: WebAssembly.Module;
  #core: Promise<DocumentsCore>;
  #rules = new Map<string, RulesHandle>();

  private constructor(module: WebAssembly.Module, core: DocumentsCore) {
    this.#module = module;
    this.#core = Promise.resolve(core);
  }

  /** Compiles documents.wasm, which lies beside its glue. */
  static async load(): Promise<MergeCore> {
    const name = simdSupported() ? "./documents.wasm" : "./documents-base.wasm";
    const module = await WebAssembly.compile(await readFile(new URL(name, import.meta.resolve("#glue.mjs"))));
    return new MergeCore(module, await DocumentsCore.create(module));
  }

  /** `work` must not wait. Throws what it throws; `internal` after a trap, and the next call has a new instance. */
  async run<T>(work: (merge: Merge) => T): Promise<T> {
    if (this.#rules.size >= SCHEMAS_MAX) this.#restart();
    const core = await this.#core;
    try {
      return work({ core, rules: (schema) => this.#handleOf(core, schema) });
    } catch (error) {
      if (core.dead) this.#restart();
      throw error;
    }
  }

  /** The edit that settles a conflict of a stored state by this value (JSON text; undefined = deleted). Rejects as the core throws. */
  resolve(state: Uint8Array, schema: string, place: Place, conflict: string, value: string | undefined): Promise<Edit> {
    return this.run(({ core, rules }) => {
      const { document } = core.open(state, []);
      try {
        return core.resolve(document, rules(schema), place, conflict, value);
      } finally {
        core.close(document);
      }
    });
  }

  #handleOf(core: DocumentsCore, schema: string): RulesHandle {
    if (schema === "") return DEFAULTS;
    let handle = this.#rules.get(schema);
    if (handle === undefined) {
      handle = usable(core, schema);
      this.#rules.set(schema, handle);
    }
    return handle;
  }

  #restart(): void {
    this.#rules = new Map();
    this.#core = DocumentsCore.create(this.#module);
    this.#core.catch(() => undefined); // whoever calls next is told
  }
}

// A schema is a document like any other: somebody may have written nonsense into it, and work goes on.
function usable(core: DocumentsCore, schema: string): RulesHandle {
  try {
    return core.rules(schema);
  } catch (error) {
    if (error instanceof OfflineSyncError && !core.dead) return DEFAULTS;
    throw error;
  }
}
