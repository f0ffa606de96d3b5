// Our queue beside others, as the claim queue.bench measures it, without its verdict.
//
//   npm run bench -- queue [--quick]
//
// Data: the web log where it is, else generated events of its shape. Baselines: idb-keyval, Dexie, RxDB and Workbox as they
// come and strict where they can be, raw IndexedDB, one packed record.
import { measure } from "../../scripts/claims/queue.bench.mjs";
import { machine } from "../../scripts/lib/machine.mjs";

console.log(machine());
const { figures } = await measure(process.argv.includes("--quick"), console.log);
console.log(JSON.stringify(figures));
