/** The interrupt lines of the main board, as a device drives them. */
export interface InterruptLines {
  /** Line 0 to 23: the ISA interrupts first. True raises it, false lowers it. */
  set(line: number, level: boolean): void;
}

/** Lines that go to several controllers at once, as on a PC. */
export function sharedLines(...controllers: readonly InterruptLines[]): InterruptLines {
  return { set: (line, level) => controllers.forEach((controller) => controller.set(line, level)) };
}
