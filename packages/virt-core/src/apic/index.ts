/** The local APIC of one lower VTL of one VP, its timer, and how APICs reach each other. */
export * from './local-apic.js';
