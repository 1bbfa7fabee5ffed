// Reads lines of JSON, each with the fault's parameters of a query, and prints whether the form accepts
// it. The test in Go compares that with package fault.
import { createInterface } from "node:readline";

import { problems } from "../assets/faults.js";

/** @type {import("../assets/data.js").Fault[] | undefined} */
let faults;
for await (const line of createInterface({ input: process.stdin })) {
  if (faults) console.log(problems(faults, new Map(JSON.parse(line))).size === 0);
  else faults = JSON.parse(line);
}
