/** Reports against the published JSON Schemas: by Ajv, and for the order of keys, which JSON Schema has no word for. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { AnySchemaObject } from 'ajv/dist/2020.js';

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });

/** Where and how `value` departs from `schema`, one line each; empty when it is valid. Keys must also stand in the schema's order. */
export function schemaErrors(schema: AnySchemaObject, value: unknown): string[] {
  const validate = ajv.compile(schema);
  const invalid = validate(value) ? [] : validate.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`);
  return [...invalid, ...orderErrors(schema, value, schema, '')];
}

function orderErrors(schema: AnySchemaObject, value: unknown, root: AnySchemaObject, at: string): string[] {
  if (typeof schema['$ref'] === 'string') return orderErrors(root['$defs'][schema['$ref'].replace('#/$defs/', '')], value, root, at);
  if (Array.isArray(value)) return schema['items'] ? value.flatMap((item, index) => orderErrors(schema['items'], item, root, `${at}/${index}`)) : [];
  const properties: Record<string, AnySchemaObject> | undefined = schema['properties'];
  if (typeof value !== 'object' || value === null || !properties) return [];
  const given = Object.keys(value).filter((key) => key in properties);
  const ordered = Object.keys(properties).filter((key) => key in value);
  const own = given.join() === ordered.join() ? [] : [`${at} has keys in another order than the schema: ${given.join()}`];
  return [...own, ...Object.entries(value).flatMap(([key, item]) => (properties[key] ? orderErrors(properties[key], item, root, `${at}/${key}`) : []))];
}
