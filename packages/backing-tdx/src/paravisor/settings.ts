/** What the backing's options say to its paravisor half. */
export interface TdxSettings {
  /** VTL0's local APIC is offloaded as long as it can be. */
  readonly offload: boolean;
}
