// The official JavaScript SDK on a running region, through the profile that scripts/up wrote.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import {
  BatchWriteItemCommand,
  CreateTableCommand,
  DeleteTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  paginateQuery,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { fromIni } from "@aws-sdk/credential-providers";

const profile = process.env.AWS_PROFILE ?? "breakwater";
const client = new DynamoDBClient({ profile, credentials: fromIni({ profile }) });
const TableName = `js-${randomUUID()}`;

before(async () => {
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "pk", AttributeType: "S" },
        { AttributeName: "sk", AttributeType: "N" },
      ],
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName });
});

after(() => client.send(new DeleteTableCommand({ TableName })));

test("an item comes back", async () => {
  const Item = {
    pk: { S: "x" },
    sk: { N: "1" },
    bytes: { B: new Uint8Array([0, 255]) },
    map: { M: { list: { L: [{ BOOL: true }, { NULL: true }] } } },
  };
  await client.send(new PutItemCommand({ TableName, Item }));
  const got = await client.send(
    new GetItemCommand({ TableName, Key: { pk: { S: "x" }, sk: { N: "1" } }, ConsistentRead: true }),
  );
  assert.deepEqual(got.Item, Item);
});

test("pages follow each other", async () => {
  const requests = Array.from({ length: 25 }, (_, n) => ({
    PutRequest: { Item: { pk: { S: "pages" }, sk: { N: String(n) } } },
  }));
  await client.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: requests } }));
  const seen = [];
  const pages = paginateQuery(
    { client, pageSize: 7 },
    {
      TableName,
      KeyConditionExpression: "pk = :p",
      ExpressionAttributeValues: { ":p": { S: "pages" } },
      ConsistentRead: true,
    },
  );
  for await (const page of pages) seen.push(...page.Items.map((i) => Number(i.sk.N)));
  assert.deepEqual(seen, Array.from({ length: 25 }, (_, n) => n));
});

test("a failed condition is the SDK's own exception", async () => {
  await assert.rejects(
    client.send(
      new PutItemCommand({
        TableName,
        Item: { pk: { S: "x" }, sk: { N: "1" } },
        ConditionExpression: "attribute_not_exists(pk)",
      }),
    ),
    { name: "ConditionalCheckFailedException", message: "The conditional request failed" },
  );
});
