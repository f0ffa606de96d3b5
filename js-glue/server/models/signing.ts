/**
 * The keys of a registry: its own, which signs manifests, and those of publishers, whose statements it takes.
 *
 * Ed25519. Devices pin public keys as the base64 of 32 bytes; the private key lies in a file of its own, as PEM, so that it
 * never stands among settings that are printed.
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { failure } from "../../core/errors.ts";
import { fromBase64, manifestMessage, statementMessage } from "../../core/model-statement.ts";

// What stands before the 32 bytes of an Ed25519 key in its DER form.
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

const publicText = (key: KeyObject): string =>
  createPublicKey(key).export({ format: "der", type: "spki" }).subarray(SPKI.length).toString("base64");

function publicKey(text: string): KeyObject {
  const raw = fromBase64(text, 32);
  if (!raw) throw failure("invalid_argument", "a model key is the base64 of 32 bytes");
  return createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" });
}

/** A private key that signs models or manifests. */
export class ModelKey {
  readonly #private: KeyObject;
  /** What devices pin. */
  readonly publicKey: string;

  constructor(key: KeyObject) {
    if (key.asymmetricKeyType !== "ed25519") throw failure("invalid_argument", "a model key must be an Ed25519 key");
    this.#private = key;
    this.publicKey = publicText(key);
  }

  /** Throws `invalid_argument` when the text is no private key. */
  static fromPem(pem: string): ModelKey {
    let key: KeyObject;
    try {
      key = createPrivateKey(pem);
    } catch (error) {
      throw failure("invalid_argument", "the model key is no private key in PEM form", { cause: error });
    }
    return new ModelKey(key);
  }

  /** Throws the file system's error when it cannot be read. */
  static fromFile(file: string): ModelKey {
    return ModelKey.fromPem(readFileSync(file, "utf8"));
  }

  /** Writes a new key for its owner alone; throws when the file is there already. */
  static create(file: string): ModelKey {
    const { privateKey } = generateKeyPairSync("ed25519");
    writeFileSync(file, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600, flag: "wx" });
    return new ModelKey(privateKey);
  }

  /** The signature of a statement's text. */
  signStatement(statement: string): Uint8Array {
    return sign(null, statementMessage(statement), this.#private);
  }

  /** The signature of a manifest's text. */
  signManifest(body: string): Uint8Array {
    return sign(null, manifestMessage(body), this.#private);
  }
}

/** Whose signatures a registry gives and takes. */
export interface ModelTrust {
  /** Signs manifests, and statements that come without a signature. Undefined: there is no manifest. */
  readonly key?: ModelKey | undefined;
  /** Public keys. With any, a statement must be signed by one of them; the server signs none in their place. */
  readonly publishers?: readonly string[] | undefined;
  /** How long a manifest is good for at least; each day's is signed anew when somebody asks. Default 14. */
  readonly manifestDays?: number | undefined;
}

/** Judges what comes with a statement. */
export class Publishers {
  readonly #own: ModelKey | undefined;
  readonly #keys: readonly KeyObject[];

  constructor({ key, publishers = [] }: ModelTrust) {
    this.#own = publishers.length === 0 ? key : undefined;
    this.#keys = [...publishers, ...(this.#own ? [this.#own.publicKey] : [])].map(publicKey);
  }

  /** The statement's signature: the given one when it fits a key, else our own. Throws `signature`. */
  signatureOf(statement: string, given: string | undefined): Uint8Array {
    if (given === undefined) {
      if (this.#own) return this.#own.signStatement(statement);
      throw failure("signature", "a statement must be signed by a publisher here");
    }
    const bytes = fromBase64(given, 64);
    const message = statementMessage(statement);
    if (bytes && this.#keys.some((key) => verify(null, message, key, bytes))) return bytes;
    throw failure("signature", "the statement is not signed by a publisher that is known here");
  }
}
