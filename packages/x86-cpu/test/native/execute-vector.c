/*
 * Executes single vector and x87 instructions in ring 3 of the host's own processor, as execute.c does with integer ones: through signals, whose
 * context holds the FXSAVE image too. record-vector.mjs writes the cases and reads what became of them.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAGE 4096
#define CODE 0x20000000UL
#define DATA 0x10000000UL
#define FXSAVE 512
#define MEMORY 1024

struct state {
  uint64_t registers[16];
  uint64_t flags, vector;
  uint8_t fxsave[FXSAVE];
  uint8_t memory[MEMORY];
};

struct input {
  uint32_t length;
  uint8_t code[20];
  struct state state;
};

static const int registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct input input;
static struct state output;
static gregset_t host;
static uint8_t host_fxsave[FXSAVE];
static int inside;

static void on_signal(int number, siginfo_t *information, void *context) {
  (void)number, (void)information;
  mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
  greg_t *gregs = machine->gregs;
  if (!inside) {
    memcpy(host, gregs, sizeof host);
    memcpy(host_fxsave, machine->fpregs, FXSAVE);
    for (int i = 0; i < 16; i++) gregs[registers[i]] = (greg_t)input.state.registers[i];
    gregs[REG_EFL] = (greg_t)input.state.flags;
    gregs[REG_RIP] = (greg_t)CODE;
    /* The bytes from 464 on are the kernel's. */
    memcpy(machine->fpregs, input.state.fxsave, 464);
    inside = 1;
    return;
  }
  for (int i = 0; i < 16; i++) output.registers[i] = (uint64_t)gregs[registers[i]];
  output.flags = (uint64_t)gregs[REG_EFL];
  output.vector = (uint64_t)gregs[REG_TRAPNO];
  memcpy(output.fxsave, machine->fpregs, 464);
  memcpy(gregs, host, sizeof host);
  memcpy(machine->fpregs, host_fxsave, 464);
  inside = 0;
}

static uint8_t *map(uint64_t address, int protection) {
  uint8_t *at = mmap((void *)address, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (at == MAP_FAILED) exit(3);
  return at;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  uint8_t *code = map(CODE, PROT_READ | PROT_WRITE | PROT_EXEC);
  uint8_t *data = map(DATA, PROT_READ | PROT_WRITE);
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
    memset(code, 0xcc, 64);
    memcpy(code, input.code, input.length);
    memcpy(data, input.state.memory, MEMORY);
    __asm__ volatile("int3" ::: "memory", "cc");
    memcpy(output.memory, data, MEMORY);
    fwrite(&output, sizeof output, 1, out);
  }
  return fclose(out);
}
