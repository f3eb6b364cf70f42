// Reads and writes with jsforce: node salesforce.mjs URL TOKEN
import jsforce from "jsforce";

const [url, token] = process.argv.slice(2);
const crm = new jsforce.Connection({ instanceUrl: url, accessToken: token, version: "60.0" });

const leads = await crm.query("SELECT Id, Owner.Name FROM Lead", { autoFetch: true });
const counted = await crm.query("SELECT COUNT() FROM Lead");
const described = await crm.describe("Lead");

const made = await crm.sobject("Lead").create({ LastName: "Node", Company: "Node Ltd" });
await crm.sobject("Lead").update({ Id: made.id, Title: "CFO" });
const read = await crm.sobject("Lead").retrieve(made.id);

const two = await crm.sobject("Lead").create(
  [1, 2].map((n) => ({ LastName: `Node ${n}`, Company: "Collected Ltd" })),
);
await crm.bulk2.loadAndWaitForResults({
  object: "Lead",
  operation: "insert",
  input: [1, 2].map((n) => ({ LastName: `Bulk ${n}`, Company: "Bulk Ltd" })),
  pollTimeout: 20000,
  pollInterval: 20,
});
const rows = await crm.bulk2.query("SELECT Id FROM Lead WHERE Company = 'Bulk Ltd'", {
  pollTimeout: 20000,
  pollInterval: 20,
});
const bulked = await rows.toArray();
await crm.sobject("Lead").destroy(made.id);
const left = await crm.sobject("Lead").find({ Id: made.id });

console.log(
  JSON.stringify({
    counted: leads.records.length === counted.totalSize,
    title: read.Title,
    described: described.fields.some((one) => one.name === "LastName"),
    collected: two.map((one) => one.success),
    bulked: bulked.length,
    deleted: left.length === 0,
  }),
);
