/** The fields of every JSON object that the tool prints, from the published schemas. */
import { readFileSync, readdirSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { blocks, cell, code, table } from './markdown.mjs';

const folder = new URL('../../packages/tmk-vmm/schema/', import.meta.url);
const FIRST = 'results-1.json';
const files = [FIRST, ...readdirSync(folder).filter((file) => file !== FIRST).toSorted()];

const schemas = files.map((file) => {
  const schema = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
  return { file, title: schema.title, fields: resolve(schema, schema.properties ?? {}), lines: resolve(schema, schema.oneOf ?? []), exitReasons: schema.$defs?.exitReason?.enum };
});
const [results] = schemas;

/** A part of a schema with everything it refers to, always one of the schema's own `$defs`, put in its place. */
function resolve(schema, part) {
  if (Array.isArray(part)) return part.map((inner) => resolve(schema, inner));
  if (typeof part !== 'object' || part === null) return part;
  const { $ref, ...own } = part;
  const referred = $ref === undefined ? {} : schema.$defs[$ref.replace('#/$defs/', '')];
  return Object.fromEntries(Object.entries({ ...referred, ...own }).map(([key, inner]) => [key, resolve(schema, inner)]));
}

/** A section for each schema. Fields that a schema shares with the first are told there only. */
export const jsonFields = () => blocks(...schemas.map(schemaSection));

/** Names under which exits are counted. */
export const exitReasons = () => results.exitReasons.map(code).join(', ');

function schemaSection({ file, title, fields, lines }) {
  const [name, what] = title.includes(': ') ? title.split(': ') : [file.replace(/-\d+\.json$/, ''), title];
  const shared = Object.keys(fields).filter((key) => fields !== results.fields && isDeepStrictEqual(fields[key], results.fields[key]));
  const rows = Object.entries(fields).filter(([key]) => !shared.includes(key)).flatMap(([key, field]) => fieldRows(key, field));
  return blocks(
    `## ${code(name)}`,
    `${what[0].toUpperCase()}${what.slice(1)}. The schema is [${file}](../packages/tmk-vmm/schema/${file}).`,
    table(['field', 'type', 'what it is'], rows),
    shared.length === 0 ? '' : `${shared.map(code).join(', ')}: as in ${code(results.fields.schema.const)}.`,
    ...linesTables(lines),
  );
}

/** Lines of several kinds, told apart by `event`: the fields of each kind, then what each field is. */
function linesTables(lines) {
  const kinds = lines.map(({ properties: { event, ...fields }, description = '' }) => [code(event.const), Object.keys(fields).map(code).join(', '), cell(description)]);
  const fields = Object.entries(Object.assign({}, ...lines.map(({ properties }) => properties))).filter(([name]) => name !== 'event');
  return [table(['event', 'its fields', 'what it is'], kinds), table(['field', 'type', 'what it is'], fields.flatMap(([name, field]) => fieldRows(name, field)))];
}

function fieldRows(path, field) {
  const row = [code(path), typeOf(field), cell(field.description ?? '')];
  return field.type === 'array' ? [row, ...innerRows(`${path}[]`, field.items)] : [row, ...innerRows(path, field)];
}

const innerRows = (path, { properties = {}, oneOf = [] }) => Object.entries(Object.assign({}, properties, ...oneOf.map((either) => either.properties))).flatMap(([key, field]) => fieldRows(`${path}.${key}`, field));

function typeOf(field) {
  if (field.const !== undefined) return code(JSON.stringify(field.const));
  if (isDeepStrictEqual(field.enum, results.exitReasons)) return '[exit reason](#exit-reasons)';
  if (field.enum) return field.enum.map((value) => code(JSON.stringify(value))).join(', ');
  if (field.oneOf) return field.oneOf.map(typeOf).join(' or ');
  if (field.type === 'array') return `array of ${typeOf(field.items)}`;
  if (typeof field.additionalProperties === 'object') return `object of ${typeOf(field.additionalProperties)} by ${field.propertyNames ? 'exit reason' : 'name'}`;
  return [field.type].flat().join(' or ');
}
