/** As much of JSON Schema (2020-12) as this package's schemas use. */

interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly minItems?: number;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
}

/** Where and how `value` departs from `schema`, one line each; empty when it is valid. Keys must also stand in the schema's order. */
export function schemaErrors(schema: Schema, value: unknown, root: Schema = schema, at = '$'): string[] {
  if (schema.$ref !== undefined) return schemaErrors(root.$defs![schema.$ref.replace('#/$defs/', '')]!, value, root, at);
  const errors: string[] = [];
  const say = (ok: boolean, what: string): void => void (ok || errors.push(`${at} ${what}: ${JSON.stringify(value)?.slice(0, 80)}`));
  if ('const' in schema) say(value === schema.const, `is not ${JSON.stringify(schema.const)}`);
  if (schema.enum) say(schema.enum.includes(value), 'is none of the enum');
  if (schema.type !== undefined) say([schema.type].flat().some((type) => isType(type, value)), `is no ${[schema.type].flat().join(' or ')}`);
  if (schema.minimum !== undefined && typeof value === 'number') say(value >= schema.minimum, `is below ${schema.minimum}`);
  if (schema.pattern !== undefined) say(new RegExp(schema.pattern).test(String(value)), `does not match ${schema.pattern}`);
  if (Array.isArray(value)) {
    say(value.length >= (schema.minItems ?? 0), 'has too few items');
    if (schema.items) errors.push(...value.flatMap((item, index) => schemaErrors(schema.items!, item, root, `${at}[${index}]`)));
  } else if (typeof value === 'object' && value !== null) {
    errors.push(...objectErrors(schema, value as Record<string, unknown>, root, at));
  }
  return errors;
}

function objectErrors(schema: Schema, value: Readonly<Record<string, unknown>>, root: Schema, at: string): string[] {
  const known = Object.keys(schema.properties ?? {});
  const errors = (schema.required ?? []).filter((key) => !(key in value)).map((key) => `${at} lacks ${key}`);
  const ordered = known.filter((key) => key in value).join();
  const given = Object.keys(value).filter((key) => known.includes(key)).join();
  if (ordered !== given) errors.push(`${at} has keys in another order than the schema: ${given}`);
  for (const [key, item] of Object.entries(value)) {
    if (schema.propertyNames) errors.push(...schemaErrors(schema.propertyNames, key, root, `${at} key`));
    const own = schema.properties?.[key] ?? schema.additionalProperties;
    if (own === false) errors.push(`${at} has an unknown key ${key}`);
    else if (typeof own === 'object') errors.push(...schemaErrors(own, item, root, `${at}.${key}`));
  }
  return errors;
}

function isType(type: string, value: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}
