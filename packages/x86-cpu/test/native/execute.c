/*
 * Executes single instructions in ring 3 of the host's own processor. Reads cases from a file, writes what became of them to another; harness.mjs
 * makes the one and reads the other. With a third argument they run as 32-bit code, in compatibility mode.
 *
 * A case is entered and left through signals: INT3 in main brings up the handler, which puts the case's registers into the context that it returns
 * to; the instruction, or the INT3 that fills the rest of the code page, brings it up again, and the context holds every register, RFLAGS, the
 * vector, the error code and CR2 as the processor left them. Nothing of this program runs in between.
 */
#define _GNU_SOURCE
#include <immintrin.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define CODE 0x20000000UL
#define DATA 0x10000000UL
#define WRITABLE (2 * PAGE)
#define INT3 0xcc

struct patch {
  uint32_t offset, length;
  uint8_t bytes[64];
};

struct input {
  uint64_t registers[16];
  uint64_t flags, rip, fs_base, gs_base;
  uint32_t length, patch_count;
  uint8_t code[16];
  struct patch patches[2];
};

struct output {
  uint64_t registers[16];
  uint64_t flags, rip, vector, error_code, cr2, fs_base, gs_base;
  uint32_t selectors[4]; /* DS, ES, FS, GS */
  uint32_t changed_from, changed_length;
};

/* Where a context keeps RAX RCX RDX RBX RSP RBP RSI RDI R8 .. R15. */
static const int registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct input input;
static struct output output;
static gregset_t host;
static uint64_t host_fs;
static int inside, narrow;

/* Linux's selectors of 32-bit code and of data. */
#define CODE_32 0x23
#define DATA_32 0x2b

static uint32_t selector_of(int segment) {
  uint32_t value;
  switch (segment) {
    case 0: __asm__ volatile("mov %%ds, %0" : "=r"(value)); break;
    case 1: __asm__ volatile("mov %%es, %0" : "=r"(value)); break;
    case 2: __asm__ volatile("mov %%fs, %0" : "=r"(value)); break;
    default: __asm__ volatile("mov %%gs, %0" : "=r"(value)); break;
  }
  return value & 0xffff;
}

static void on_signal(int number, siginfo_t *information, void *context) {
  /* The case may have left AC, NT or ID set. */
  __asm__ volatile("push $0x202; popfq" ::: "cc", "memory");
  (void)number, (void)information;
  greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (!inside) {
    memcpy(host, gregs, sizeof host);
    for (int i = 0; i < 16; i++) gregs[registers[i]] = (greg_t)input.registers[i];
    gregs[REG_EFL] = (greg_t)input.flags;
    gregs[REG_RIP] = (greg_t)input.rip;
    if (narrow) {
      gregs[REG_CSGSFS] = (gregs[REG_CSGSFS] & ~0xffffl) | CODE_32;
      __asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(DATA_32));
    }
    inside = 1;
    _writegsbase_u64(input.gs_base);
    _writefsbase_u64(input.fs_base);
    return;
  }
  output.fs_base = _readfsbase_u64();
  output.gs_base = _readgsbase_u64();
  for (int i = 0; i < 4; i++) output.selectors[i] = selector_of(i);
  __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" ::"r"(0));
  _writefsbase_u64(host_fs);
  for (int i = 0; i < 16; i++) output.registers[i] = (uint64_t)gregs[registers[i]];
  output.flags = (uint64_t)gregs[REG_EFL];
  output.rip = (uint64_t)gregs[REG_RIP];
  output.vector = (uint64_t)gregs[REG_TRAPNO];
  output.error_code = (uint64_t)gregs[REG_ERR];
  output.cr2 = (uint64_t)gregs[REG_CR2];
  memcpy(gregs, host, sizeof host);
  inside = 0;
}

static uint8_t *map(uint64_t address, size_t length, int protection, int flags, int file) {
  uint8_t *at = mmap((void *)address, length, protection, flags | (address != 0 ? MAP_FIXED_NOREPLACE : 0), file, 0);
  if (at == MAP_FAILED) exit(3);
  return at;
}

/* What DATA holds before each case; recording.ts has the same rule. */
static uint8_t default_byte(uint32_t i) {
  return (uint8_t)(i * 73 + (i >> 3) * 29 + 17);
}

int main(int count, char **arguments) {
  if (count != 3 && count != 4) return 2;
  narrow = count == 4;
  host_fs = _readfsbase_u64();
  /* The code page is written through a second mapping: where it runs it cannot be written. */
  int file = memfd_create("code", 0);
  if (file < 0 || ftruncate(file, PAGE) != 0) return 3;
  uint8_t *code = map(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  map(CODE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file);
  uint8_t *data = map(DATA, WRITABLE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  for (uint32_t i = 0; i < WRITABLE + PAGE; i++) data[i] = default_byte(i);
  mprotect(data + WRITABLE, PAGE, PROT_READ);
  static uint8_t before[WRITABLE];

  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO};
  static const int signals[] = {SIGTRAP, SIGFPE, SIGSEGV, SIGILL, SIGBUS};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);

  FILE *in = fopen(arguments[1], "rb");
  FILE *out = fopen(arguments[2], "wb");
  if (in == NULL || out == NULL) return 2;
  while (fread(&input, sizeof input, 1, in) == 1) {
    memset(&output, 0, sizeof output);
    memset(code, INT3, PAGE);
    for (uint32_t i = 0, at = input.rip - CODE; i < input.length && at + i < PAGE; i++) code[at + i] = input.code[i];
    for (uint32_t i = 0; i < WRITABLE; i++) data[i] = default_byte(i);
    for (uint32_t i = 0; i < input.patch_count; i++) memcpy(data + input.patches[i].offset, input.patches[i].bytes, input.patches[i].length);
    memcpy(before, data, WRITABLE);
    __asm__ volatile("int3" ::: "memory", "cc");
    uint32_t from = 0, to = WRITABLE;
    while (from < WRITABLE && data[from] == before[from]) from++;
    while (to > from && data[to - 1] == before[to - 1]) to--;
    output.changed_from = from;
    output.changed_length = to - from;
    fwrite(&output, sizeof output, 1, out);
    fwrite(data + from, 1, to - from, out);
  }
  return fclose(out);
}
