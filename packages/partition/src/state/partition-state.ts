/** A saved partition: what it was made with, all its state, and what shows that nothing was changed since. */
import { StateError } from '@paravisor/hcl-protocol';
import type { Plain } from '@paravisor/hcl-protocol';
import { PartitionError } from '../partition-error.js';
import { canonicalText, digestOf } from './canonical.js';
import { shapeDifference } from './shape.js';

const SCHEMA = 'paravisor/partition-state@';
const VERSION = 1;
/** The openvmm commit that the model follows: another model's state means other things. */
const MODEL = '1488a37b7';

type Fields = { readonly [key: string]: Plain };

/** Plain data: what JSON carries without loss. */
export type PartitionState = {
  readonly schema: string;
  /** The openvmm commit the model follows. */
  readonly model: string;
  /** What the partition was made with, as far as it matters. */
  readonly options: Fields;
  readonly state: Fields;
  /** SHA-256 over the rest, as JSON with sorted keys. */
  readonly digest: string;
};

/** Seals a state. */
export function sealState(options: Fields, state: Fields): PartitionState {
  const contents = { schema: `${SCHEMA}${VERSION}`, model: MODEL, options, state };
  return { ...contents, digest: digestOf(contents) };
}

/**
 * What is in a sealed state, if it can go into a partition of these options whose own state, freshly made, is `fresh`.
 * @throws {PartitionError} saying why not.
 */
export function openState(saved: Plain, options: Fields, fresh: Fields): Fields {
  const { schema, model, options: savedOptions, state, digest } = fieldsOf(saved);
  const contents = { schema: schema!, model: model!, options: savedOptions!, state: state! };
  if (digestOf(contents) !== digest) throw new PartitionError('damaged-state', 'state', 'the state is damaged: its digest is that of another one');
  requireSameOptions(fieldsOrNone(savedOptions!), options);
  const difference = shapeDifference(fresh, state!);
  if (difference !== null) throw new PartitionError('bad-state', 'state', `the state has another shape than this version's: ${difference}`);
  return state as Fields;
}

/** The parts of a sealed state of this version. */
function fieldsOf(saved: Plain): Fields {
  const fields = fieldsOrNone(saved);
  const { schema, model } = fields;
  const version = typeof schema === 'string' && schema.startsWith(SCHEMA) ? Number(schema.slice(SCHEMA.length)) : Number.NaN;
  if (!Number.isInteger(version) || version < 1) throw new PartitionError('bad-state', 'state', `the state is none of a partition: its schema is ${JSON.stringify(schema)}, not '${SCHEMA}${VERSION}'`);
  if (version > VERSION) throw new PartitionError('newer-state', 'state', `the state is of a newer version, ${JSON.stringify(schema)}: this one reads '${SCHEMA}${VERSION}'`);
  if (model !== MODEL) throw new PartitionError('newer-state', 'state', `the state is of a model of openvmm ${JSON.stringify(model)}: this one follows ${MODEL}`);
  const difference = shapeDifference({ schema: '', model: '', options: {}, state: {}, digest: '' }, fields);
  if (difference !== null) throw new PartitionError('bad-state', 'state', `the state is none of a partition: ${difference}`);
  return fields;
}

const fieldsOrNone = (value: Plain): Fields => (value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : {});

function requireSameOptions(saved: Fields, given: Fields): void {
  for (const name of Object.keys({ ...saved, ...given })) {
    const [before, now] = [canonicalText(saved[name] ?? null), canonicalText(given[name] ?? null)];
    if (before !== now) throw new PartitionError('other-options', 'state', `the state was saved with ${name} ${before}, and these options have ${now}`);
  }
}

/** Does what reads a state, and says as the user's mistake what cannot be read. */
export function reading(read: () => void): void {
  try {
    read();
  } catch (error) {
    if (error instanceof StateError || error instanceof RangeError) throw new PartitionError('damaged-state', 'state', `the state cannot be read: ${error.message}`);
    throw error;
  }
}
