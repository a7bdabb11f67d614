import { CodeCache } from '../code/cache.js';
import type { Block } from '../code/block.js';
import { linearOf } from '../code/execution-mode.js';
import { Costed, EventType, ExitKind, Stop } from '../contract.js';
import type { Intercepts, Processor, ProcessorExit, ProcessorOptions, VirtualApic } from '../contract.js';
import { OperandKind } from '../decode/index.js';
import type { Instruction } from '../decode/index.js';
import { Op } from '../decode/op.js';
import { createInterpreter, nextGrant } from '../interpreter/module.js';
import type { Interpreter } from '../interpreter/module.js';
import { StateOffset } from '../memory/layout.js';
import type { CodeObserver, MemorySpace } from '../memory/space.js';
import { Leave } from '../microop/accessors.js';
import { microOp } from '../microop/catalog.js';
import { BLOCK_HEADER_SIZE, fieldOffset, recordSize } from '../microop/record.js';
import { SEGMENT_IS_STACK } from '../microop/segment.js';
import { Flag } from '../microop/flags.js';
import { Outcome, systemInstructions } from '../system/index.js';
import { Translator } from '../translator/translator.js';
import { createTable } from '../wasm/platform.js';
import { CodeFinder } from './code-finder.js';
import { Core } from './core.js';
import type { PendingEvent } from './core.js';
import { Dr6 } from './debug.js';
import { Events, GO_ON } from './events.js';
import { restoreIntercepts, restoreRegisters, saveExit, saveIntercepts, saveRegisters } from './saved-state.js';
import type { ProcessorState } from './saved-state.js';
import { GuestFault, NESTED, RETRY, Vector } from './fault.js';
import { JumpCache } from './jump-cache.js';
import { Mmu } from './mmu.js';
import { Registers, Shadow } from './registers.js';

const BUDGET = StateOffset.budget >> 2;
const POSITION = StateOffset.position >> 2;
const COUNT = microOp('count');
const COUNT_SIZE = recordSize(COUNT);
/** Instructions run that make a block hot. */
const HOT_INSTRUCTIONS = 8000;

/** The interpreter, the system instructions and event delivery under one loop. */
export class GuestProcessor implements Processor, CodeObserver {
  readonly bytes: Uint8Array;
  readonly i32: Int32Array;
  readonly exit: ProcessorExit;
  readonly intercepts: Intercepts;
  virtualInterruptIgnoreTpr = false;
  readonly #table: number;
  readonly #registers: Registers;
  readonly #mmu: Mmu;
  readonly #core: Core;
  readonly #cache: CodeCache;
  readonly #interpreter: Interpreter;
  readonly #memory: Int32Array;
  readonly #jumps: JumpCache;
  readonly #forgetJump = (block: Block): void => this.#jumps.forget(block.rip, block.address);
  readonly #finder: CodeFinder;
  readonly #translator: Translator | undefined;
  #virtualInterrupt = -1;
  /** Instructions retired before this run, and granted to it. What is left is in `#reserve` and the state's budget. */
  #retiredBefore = 0;
  #granted = 0;
  #reserve = 0;
  /** Only one instruction may run: a shadow or RFLAGS.TF ends with it, or its stores are forced. */
  #step = false;
  readonly #injected: PendingEvent = { type: -1, vector: 0, errorCode: -1, length: 0, isTrap: false };
  readonly #events: Events;
  /** RFLAGS.TF traps after the instruction in progress. */
  #traced = false;

  constructor(space: MemorySpace, options: ProcessorOptions) {
    this.#table = options.permissionTable;
    const start = space.contextStart(options.index);
    this.#registers = new Registers(space, start);
    this.bytes = this.#registers.bytes;
    this.i32 = this.#registers.i32;
    this.#mmu = new Mmu(space, this.#registers, options.permissionTable);
    const calls = { probe: (flags: number) => this.#mmu.probe(flags), put: (size: number) => this.#mmu.put(size) };
    const executor = options.executor ?? 'auto';
    const translations = createTable();
    this.#interpreter = createInterpreter(space, translations, calls);
    this.#core = new Core(this.#registers, this.#mmu, options, this.#interpreter.ready, () => this.#finder.flush(), () => this.#cache.clear());
    this.#events = new Events(this.#core, () => this.#left());
    this.exit = this.#core.exit;
    this.intercepts = this.#core.intercepts;
    this.#cache = new CodeCache(space, start);
    this.#memory = space.i32;
    this.#jumps = new JumpCache(space.i32, start);
    if (executor !== 'interpreter') {
      this.#translator = new Translator(space, start, this.#cache, this.#jumps, translations, calls, () => this.#retryAccess(), executor === 'auto' ? HOT_INSTRUCTIONS : 1);
      this.#cache.translated = this.#translator;
    }
    this.#finder = new CodeFinder(this.#cache, this.#jumps, this.#mmu);
    this.#registers.systemFlags = 0;
    space.observe(this);
  }

  get retired(): number {
    return this.#retiredBefore + this.#granted - this.#left();
  }

  #left(): number {
    return this.#reserve + this.i32[BUDGET]!;
  }

  interceptsChanged(): void {
    this.#core.attention = true;
  }

  readRflags(): number {
    return this.#core.readFlags();
  }

  writeRflags(value: number): void {
    this.#core.writeFlags(value);
  }

  stateChanged(): void {
    this.#core.modeChanged(true);
    this.#core.reloadPdptes();
    this.#core.debugChanged();
  }

  flushTlb(): void {
    this.#core.flushTranslations();
  }

  inject(type: number, vector: number, errorCode: number, instructionLength: number): void {
    const event = this.#injected;
    event.type = type;
    event.vector = vector;
    event.errorCode = errorCode;
    event.length = type === EventType.SoftwareInterrupt || type === EventType.PrivilegedSoftware || type === EventType.SoftwareException ? instructionLength : 0;
  }

  save(): ProcessorState {
    const { exit, intercepts } = this;
    return {
      retired: this.retired,
      rflags: this.#core.readFlags(),
      registers: saveRegisters(this.i32),
      injected: { ...this.#injected },
      virtualInterrupt: this.#virtualInterrupt,
      virtualInterruptIgnoreTpr: this.virtualInterruptIgnoreTpr,
      exit: saveExit(exit),
      ...saveIntercepts(intercepts),
      translations: this.#mmu.save(),
      jumps: this.#finder.save(this.#core.mode),
      fetches: this.#finder.saveFetches(this.#core.mode),
    };
  }

  restore(state: ProcessorState): void {
    this.#retiredBefore = state.retired;
    this.#granted = 0;
    this.#reserve = 0;
    restoreRegisters(this.i32, state.registers);
    this.#core.writeFlags(state.rflags);
    Object.assign(this.#injected, state.injected);
    this.#virtualInterrupt = state.virtualInterrupt;
    this.virtualInterruptIgnoreTpr = state.virtualInterruptIgnoreTpr;
    Object.assign(this.exit, state.exit);
    restoreIntercepts(this.intercepts, state);
    // Not `stateChanged`: the register entries of PAE paging are restored, not read again.
    this.#core.modeChanged(true);
    this.#core.debugChanged();
    this.#mmu.restore(state.translations);
    this.#finder.restore(this.#core.mode, state.jumps, state.fetches);
  }

  get virtualInterrupt(): number {
    return this.#virtualInterrupt;
  }

  set virtualInterrupt(vector: number) {
    this.#virtualInterrupt = vector;
    this.#core.attention = true;
  }

  get virtualApic(): VirtualApic | null {
    return this.#core.virtualApic;
  }

  set virtualApic(apic: VirtualApic | null) {
    this.#core.virtualApic = apic;
  }

  deliverInjected(): Stop {
    const stop = this.#takeInjected();
    return stop === GO_ON ? Stop.Budget : (stop as Stop);
  }

  // CodeObserver: what happens to the memory under the caches.

  dropCode(page: number, first: number, last: number): void {
    this.#cache.drop(page, first, last, this.#forgetJump);
  }

  watchWrites(page: number): void {
    this.#mmu.watchWrites(page);
  }

  permissionsChanged(table: number): void {
    if (table === this.#table) this.#core.flushTranslations();
  }

  run(maxInstructions: number): Stop {
    this.#retiredBefore = this.retired;
    this.#granted = maxInstructions;
    this.#reserve = maxInstructions;
    this.i32[BUDGET] = 0;
    this.#core.attention = true;
    this.#events.begin();
    if (this.#core.debug.isStale) this.#core.debugChanged();
    for (;;) {
      if (this.#core.attention) {
        const stop = this.#atBoundary();
        if (stop !== GO_ON) return stop as Stop;
      }
      if (this.#events.stalled) {
        this.exit.kind = Costed.Event;
        return Stop.Costed;
      }
      if (this.#left() === 0) return Stop.Budget;
      const stop = this.#step ? this.#stepOne() : this.#advance();
      if (stop !== GO_ON) return stop as Stop;
    }
  }

  /** Between two instructions, when something may have to happen there: events and windows, in the order of SDM volume 3, 6.9 and 27.2. */
  #atBoundary(): number {
    const registers = this.#registers;
    const core = this.#core;
    for (;;) {
      const injection = this.#takeInjected();
      if (injection !== GO_ON) return injection;
      const trapped = this.#debugTrap();
      if (trapped !== GO_ON) return trapped;
      const blocked = registers.interruptibility & (Shadow.sti | Shadow.movSs);
      // "A logical processor may also prevent such a VM exit if there is blocking of events by STI": one that did not would exit for ever under a
      // paravisor that injects no NMI while the shadow lasts (SDM volume 3, 26.2; openvmm `handle_nmi`).
      if (this.intercepts.nmiWindow && blocked === 0 && !(registers.interruptibility & Shadow.nmi)) return this.#leaveFor(ExitKind.NmiWindow);
      const open = blocked === 0 && (registers.systemFlags & Flag.if) !== 0;
      if (this.intercepts.interruptWindow && open) return this.#leaveFor(ExitKind.InterruptWindow);
      const vector = this.#virtualInterrupt;
      if (vector >= 0 && open && (this.virtualInterruptIgnoreTpr || vector >> 4 > registers.lo(StateOffset.cr8))) {
        this.#virtualInterrupt = -1;
        const stop = this.#events.deliver(EventType.External, vector, -1, 0, false);
        if (stop !== GO_ON) return stop;
        continue;
      }
      this.#step = blocked !== 0 || core.debug.active || (registers.systemFlags & (Flag.tf | Flag.rf)) !== 0;
      core.attention = this.#step;
      return GO_ON;
    }
  }

  #takeInjected(): number {
    const injected = this.#injected;
    if (injected.type < 0) return GO_ON;
    const { type, vector, errorCode, length } = injected;
    injected.type = -1;
    return this.#events.deliver(type, vector, errorCode, length, false);
  }

  #leaveFor(kind: number): number {
    this.exit.kind = kind;
    this.exit.instructionLength = 0;
    this.exit.idtVectoring = 0;
    return Stop.Intercept;
  }

  /** One instruction under a shadow, RFLAGS.TF or RF, or breakpoints, and what follows it. */
  #stepOne(): number {
    const registers = this.#registers;
    const { debug } = this.#core;
    const flags = registers.systemFlags;
    if (debug.active && !(flags & Flag.rf)) {
      const hits = debug.codeHits(linearOf(this.#core.mode, registers.rip));
      if (hits !== 0) return this.#events.debug(hits, false);
    }
    const shadow = registers.interruptibility & (Shadow.sti | Shadow.movSs);
    this.#traced = (flags & Flag.tf) !== 0;
    debug.hits = 0;
    const before = this.#left();
    this.#reserve = before - 1;
    this.i32[BUDGET] = 1;
    const stop = this.#advance();
    if (this.#left() === before) return stop;
    registers.interruptibility &= ~shadow;
    // RF lasts for one instruction, unless that one set it (SDM volume 3, 18.3.1.1).
    if (flags & Flag.rf && !this.#core.keepsResume) registers.systemFlags &= ~Flag.rf;
    this.#core.keepsResume = false;
    this.#core.attention = true;
    registers.pendingDebug |= debug.hits | (this.#traced && !this.#startedShadow(shadow) ? Dr6.bs : 0);
    const due = registers.pendingDebug;
    const trapped = this.#debugTrap();
    if (trapped !== GO_ON) return trapped;
    // A trap behind HLT ends the wait.
    return stop === Stop.Halted && due !== registers.pendingDebug ? GO_ON : stop;
  }

  /** The instruction that just retired holds traps off until the next one has. */
  #startedShadow(shadow: number): boolean {
    return (this.#registers.interruptibility & ~shadow & Shadow.movSs) !== 0;
  }

  /** Delivers what breakpoints and single steps have left to deliver (SDM volume 3, 6.8.3: not after MOV SS). */
  #debugTrap(): number {
    const registers = this.#registers;
    const bits = registers.pendingDebug;
    if (bits === 0 || registers.interruptibility & Shadow.movSs) return GO_ON;
    registers.pendingDebug = 0;
    return this.#events.debug(bits, true);
  }

  /** ICEBP's #DB is the one for a breakpoint that MOV SS held off as well: processors deliver one. */
  #joinPendingDebug(): void {
    const registers = this.#registers;
    if (registers.pendingDebug === 0) return;
    this.#events.reportDebug(registers.pendingDebug);
    registers.pendingDebug = 0;
  }

  /** Runs from RIP until there is something to decide. */
  #advance(): number {
    this.#finder.adopt(this.#core.mode);
    const block = this.#finder.find(this.#registers.rip);
    if (block === undefined) return this.#fault();
    return block.system === undefined ? this.#interpret(block) : this.#system(block, block.system);
  }

  /** Grants the interpreter a share of what is left. */
  #refill(): void {
    if (this.#step) return;
    const left = this.#left();
    const grant = Math.min(left, nextGrant());
    this.i32[BUDGET] = grant;
    this.#reserve = left - grant;
  }

  /** Puts the interpreter at the top of a block, shortened to the budget if need be. */
  #enter(block: Block): void {
    if (this.i32[BUDGET]! < block.count) this.#refill();
    const budget = this.i32[BUDGET]!;
    let entered = block;
    if (budget < block.count) {
      entered = this.#cache.tail(block, budget);
      this.#finder.checkGeneration();
    }
    this.i32[BUDGET] = entered.isTranslated ? budget : budget - entered.count;
    // Entries from here are not counted: where runs happen to begin would become hot, each place with a translation of its own.
    const first = entered.address + BLOCK_HEADER_SIZE;
    this.i32[POSITION] = (this.#memory[first >> 2]! & 0xffff) === COUNT.code ? first + COUNT_SIZE : first;
  }

  /** A block has been entered often: it goes on in its translation, if it has one now. */
  #hot(block: Block): void {
    this.#translator!.hot(block);
    if (block.isTranslated) this.i32[BUDGET]! += block.count;
    else this.i32[POSITION]! += COUNT_SIZE;
  }

  /** The access that a translation makes is to be made by the interpreter. */
  #retryAccess(): void {
    this.#mmu.fault.vector = RETRY;
    this.#mmu.fault.nonCanonical = false;
  }

  #interpret(first: Block): number {
    const { i32 } = this;
    const cache = this.#cache;
    this.#enter(first);
    for (;;) {
      const reason = this.#interpreter.run(this.#registers.start, this.#mmu.bank);
      const position = i32[POSITION]!;
      switch (reason) {
        case Leave.Unlinked: {
          const { generation } = cache;
          const owner = cache.ownerOf(position);
          const target = cache.targetOf(owner, position);
          this.#registers.rip = target;
          // What keeps the next instruction from being fetched comes after the traps of this one.
          if (this.#left() === 0 || (this.#step && i32[BUDGET] === 0)) return GO_ON;
          const next = this.#finder.find(target);
          if (next === undefined) return this.#fault();
          if (generation === cache.generation && !owner.dropped && next.secondPage < 0) cache.link(position, next);
          if (next.system !== undefined) return GO_ON;
          this.#enter(next);
          break;
        }
        case Leave.Budget: {
          const block = cache.blockAt(position);
          this.#registers.rip = block.rip;
          if (block.dropped) this.#cache.redirect(block);
          if (block.dropped || this.#step || this.#left() === 0) return GO_ON;
          this.#enter(block);
          break;
        }
        case Leave.System: {
          const block = cache.ownerOf(position);
          this.#registers.rip = block.rip;
          if (this.#left() === 0 || this.#step || block.dropped) return GO_ON;
          return this.#system(block, block.system!);
        }
        case Leave.Hot:
          this.#hot(cache.ownerOf(position));
          break;
        case Leave.Short: {
          const block = cache.ownerOf(position);
          this.#registers.rip = block.rip + block.starts.at(-1)!;
          return GO_ON;
        }
        case Leave.Memory:
        case Leave.Divide:
        case Leave.Limit:
        case Leave.Beyond:
        case Leave.Protection: {
          const block = cache.ownerOf(position);
          const index = reason === Leave.Beyond ? block.count - 1 : cache.instructionAt(position);
          i32[BUDGET]! += block.count - index;
          this.#registers.rip = block.rip + block.starts[index]!;
          if (reason === Leave.Divide) return this.#events.except(Vector.de, -1);
          if (reason === Leave.Protection || reason === Leave.Beyond) return this.#events.except(Vector.gp, 0);
          if (reason === Leave.Limit) return this.#events.except(this.#memory[(position + fieldOffset(SEGMENT_IS_STACK)) >> 2] ? Vector.ss : Vector.gp, 0);
          if (this.#mmu.fault.nonCanonical) {
            const distance = (this.#registers.lo(StateOffset.accessAddress) - this.#registers.gprLo(RSP)) | 0;
            if (usesStack(cache.instruction(block, index), distance)) this.#mmu.fault.vector = Vector.ss;
          }
          return this.#fault();
        }
        default:
          // Leave.Jump: RIP is set.
          return GO_ON;
      }
    }
  }

  #retire(): void {
    if (this.i32[BUDGET]! > 0) this.i32[BUDGET]!--;
    else this.#reserve--;
  }

  /** Does a system instruction. */
  #system(block: Block, instruction: Instruction): number {
    const length = block.starts[1]!;
    const handler = systemInstructions[instruction.op];
    if (handler === undefined) return this.#events.except(Vector.ud, -1);
    this.exit.instructionLength = length;
    this.exit.idtVectoring = 0;
    let outcome: Outcome;
    try {
      outcome = handler(this.#core, instruction);
    } catch (problem) {
      if (!(problem instanceof GuestFault)) throw problem;
      const { fault } = this.#mmu;
      if (fault.nonCanonical && usesStack(instruction, fault.linear - this.#registers.gpr(RSP))) fault.vector = Vector.ss;
      return this.#fault();
    }
    switch (outcome) {
      case Outcome.Intercepted:
        return Stop.Intercept;
      case Outcome.Unreadable:
        return Stop.Unreadable;
      case Outcome.Event:
        return this.#softwareEvent();
      case Outcome.JumpedTraced:
        // What counts is TF as it is now.
        this.#traced = false;
        if (this.#registers.systemFlags & Flag.tf) this.#registers.pendingDebug |= Dr6.bs;
        break;
      case Outcome.Jumped:
      case Outcome.Again:
        break;
      default:
        this.#registers.rip = block.rip + length;
    }
    this.#retire();
    if (outcome === Outcome.Costed) return Stop.Costed;
    if (outcome === Outcome.Trapped) return Stop.Intercept;
    return outcome === Outcome.Halted ? Stop.Halted : GO_ON;
  }

  /** INT n and its relatives retire when they have been delivered. */
  #softwareEvent(): number {
    const { type, vector, length } = this.#core.event;
    if (type !== EventType.SoftwareInterrupt && this.#events.intercepts(vector)) return this.#events.intercept(vector, -1, 0, length);
    const stop = this.#events.deliver(type, vector, -1, length, false);
    if (stop === GO_ON && this.#events.deliveredItself) {
      this.#retire();
      if (type === EventType.PrivilegedSoftware) this.#joinPendingDebug();
    }
    // The handler is not stepped into (APM volume 2, 13.1.4).
    this.#traced = false;
    return stop;
  }

  /** What `fault` says happened at RIP. */
  #fault(): number {
    const { fault } = this.#mmu;
    if (fault.vector === RETRY) return this.#forceStores();
    if (fault.vector === NESTED) return this.#events.interceptNested(0, 0);
    return this.#events.except(fault.vector, fault.errorCode);
  }

  /** Runs the instruction at RIP alone, letting it store onto decoded code, which is dropped then. */
  #forceStores(): number {
    const wasStep = this.#step;
    const before = this.#left();
    this.#step = true;
    this.#reserve = before - 1;
    this.i32[BUDGET] = 1;
    this.#mmu.beginForcedStores();
    const stop = this.#advance();
    this.#mmu.endForcedStores();
    this.#step = wasStep;
    return stop;
  }
}

const RSP = 4;
const RBP = 5;
const STACK_INSTRUCTIONS: ReadonlySet<number> = new Set([
  Op.Push, Op.Pop, Op.Pushf, Op.Popf, Op.Call, Op.Ret, Op.Enter, Op.Leave, Op.Iret, Op.RetFar, Op.CallFar,
]);

/** How far from RSP an instruction pushes and pops, in bytes. */
const STACK_REACH = 16;

/** Whether a non-canonical access of the instruction is #SS: it goes through the stack segment. `distance` is from RSP to the access. */
function usesStack(instruction: Instruction, distance: number): boolean {
  const { op, base, segment, operands, operandCount } = instruction;
  let inMemory = false;
  for (let i = 0; i < operandCount; i++) if (operands[i]!.kind === OperandKind.Mem) inMemory = true;
  if (STACK_INSTRUCTIONS.has(op) && (!inMemory || Math.abs(distance) <= STACK_REACH)) return true;
  return inMemory && (base === RSP || base === RBP) && segment < 0;
}
