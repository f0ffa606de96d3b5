/** Every database a test runs against: SQLite always, PostgreSQL where scripts/pg-test.sh has started one. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";

export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

export interface DatabaseKind {
  readonly name: string;
  /** Why it cannot be tested here; undefined when it can. */
  readonly skip: string | undefined;
  create(): Promise<TestDatabase>;
}

const sqlite: DatabaseKind = {
  name: "SQLite",
  skip: undefined,
  async create() {
    const folder = mkdtempSync(join(tmpdir(), "oas-sqlite-"));
    return {
      url: `sqlite:${join(folder, "data.sqlite")}`,
      async drop() {
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

const { OAS_TEST_POSTGRES } = process.env;

async function asAdmin(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: OAS_TEST_POSTGRES });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

// A pool that has ended may still be saying goodbye; ending its connections by force would count as their error.
async function dropDatabase(name: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await asAdmin(`DROP DATABASE ${name}`);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "55006" || attempt >= 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

let databases = 0;

const postgres: DatabaseKind = {
  name: "PostgreSQL",
  skip: OAS_TEST_POSTGRES ? undefined : "no PostgreSQL here: run through scripts/pg-test.sh",
  async create() {
    const name = `oas_test_${process.pid}_${++databases}`;
    await asAdmin(`CREATE DATABASE ${name}`);
    const url = new URL(OAS_TEST_POSTGRES ?? "");
    url.pathname = `/${name}`;
    return { url: url.href, drop: () => dropDatabase(name) };
  },
};

export const databaseKinds: readonly DatabaseKind[] = [sqlite, postgres];
