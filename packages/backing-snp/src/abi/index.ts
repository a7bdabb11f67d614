/** What both halves read of the AMD and TLFS specifications beyond hcl-protocol. No behaviour of either half. */
export * from './intercept-message.js';
export * from './registers.js';
export * from './vectors.js';
export * from './vmpl.js';
export * from './vmsa-order.js';
