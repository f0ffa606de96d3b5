// PouchDB's server: a peer that is measured.

import { installPeers } from "./peers.mjs";

const packages = { pouchdb: "9.0.0", "express-pouchdb": "4.2.0", express: "4.21.2" };

/** The folder its packages are installed in. */
export const pouchPackages = () => installPeers("pouchdb", packages, "PouchDB's server beside us");
