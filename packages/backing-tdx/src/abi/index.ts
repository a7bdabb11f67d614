/** What both halves must agree on beyond hcl-protocol: how metadata fields are named, and the controls of an L2 VMCS. No behaviour. */
export * from './controls.js';
export * from './field-id.js';
export * from './vmcs-segments.js';
