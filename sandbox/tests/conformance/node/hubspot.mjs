// Reads and writes with the official client: node hubspot.mjs URL TOKEN
import { Client } from "@hubspot/api-client";

const [url, token] = process.argv.slice(2);
const { crm } = new Client({ accessToken: token, basePath: url });
const contacts = crm.contacts;

const all = await contacts.getAll();
const made = await contacts.basicApi.create({
  properties: { email: "node@example.com", lastname: "Node" },
  associations: [],
});
await contacts.batchApi.update({ inputs: [{ id: made.id, properties: { firstname: "Ana" } }] });
const found = await contacts.searchApi.doSearch({
  filterGroups: [
    { filters: [{ propertyName: "email", operator: "EQ", value: "node@example.com" }] },
  ],
  properties: ["firstname"],
  limit: 10,
});
const upserted = await contacts.batchApi.upsert({
  inputs: [{ id: "new@example.com", idProperty: "email", properties: { lastname: "New" } }],
});
await contacts.basicApi.archive(made.id);
const gone = await contacts.basicApi.getPage(100, undefined, [], [], [], true);

console.log(
  JSON.stringify({
    paged: all.length > 100,
    found: found.results.map((one) => one.properties.firstname),
    upserted: upserted.results[0]._new,
    archived: gone.results.some((one) => one.id === made.id),
  }),
);
