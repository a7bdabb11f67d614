/*
 * Executes single instructions on the host's own processor. Reads cases from a file, writes what became of them to another; record.mjs makes
 * the one and reads the other.
 *
 * The code runs at CODE, its memory operands lie in DATA, a branch it takes leads to CODE + 64. Registers are loaded and stored around it with moves,
 * which change no flags.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATE 0x30000000UL
#define DATA 0x10000000UL
#define CODE 0x20000000UL
#define DATA_SIZE 1024
#define BRANCH_TARGET 64

enum { IN_REGISTERS = 0, IN_FLAGS = 0x80, OUT = 0x100, OUT_FLAGS = 0x80, OUT_TAKEN = 0x88, OUT_HOST_STACK = 0x200 };
enum { STUB_NEXT = 0x400, STUB_TAKEN = 0x600, STUB_ENTRY = 0x800 };

struct input {
  uint64_t registers[16];
  uint64_t flags;
  uint8_t length;
  uint8_t code[15];
  uint8_t memory[DATA_SIZE];
};

struct output {
  uint64_t registers[16];
  uint64_t flags;
  uint64_t taken;
  uint64_t signal;
  uint8_t memory[DATA_SIZE];
};

static sigjmp_buf after_signal;
static volatile int last_signal;
static uint8_t *at;

static void on_signal(int number) {
  last_signal = number;
  siglongjmp(after_signal, 1);
}

static void put(const char *bytes, int count) {
  memcpy(at, bytes, count);
  at += count;
}

static void put32(uint32_t value) {
  memcpy(at, &value, 4);
  at += 4;
}

static void put64(uint64_t value) {
  memcpy(at, &value, 8);
  at += 8;
}

static void put_jump(uint8_t *target) {
  put("\xe9", 1);
  put32((uint32_t)(target - (at + 4)));
}

/* mov between [rax + offset] and a register: opcode 0x89 stores, 0x8b loads. */
static void put_move(int opcode, int reg, uint32_t offset) {
  char bytes[3] = {(char)(0x48 | (reg >= 8 ? 4 : 0)), (char)opcode, (char)(0x80 | ((reg & 7) << 3))};
  put(bytes, 3);
  put32(offset);
}

static void put_exit(int taken) {
  put("\x48\xa3", 2); /* mov [moffs], rax */
  put64(STATE + OUT);
  put("\x48\xb8", 2); /* mov rax, imm64 */
  put64(STATE + OUT);
  for (int reg = 1; reg < 16; reg++) put_move(0x89, reg, reg * 8);
  put_move(0x8b, 4, OUT_HOST_STACK);
  put("\x9c\x59", 2); /* pushfq; pop rcx */
  put_move(0x89, 1, OUT_FLAGS);
  put("\xb9", 1); /* mov ecx, imm32 */
  put32(taken);
  put_move(0x89, 1, OUT_TAKEN);
  put("\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12); /* cld; pop r15 .. r12, rbp, rbx; ret */
}

static void put_entry(uint8_t *code) {
  put("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57\x48\xb8", 12); /* push rbx, rbp, r12 .. r15; mov rax, imm64 */
  put64(STATE);
  put_move(0x89, 4, OUT + OUT_HOST_STACK);
  put("\xff\xb0", 2); /* push [rax + disp32]; popfq */
  put32(IN_FLAGS);
  put("\x9d", 1);
  for (int reg = 1; reg < 16; reg++) put_move(0x8b, reg, reg * 8);
  put("\x48\xa1", 2); /* mov rax, [moffs] */
  put64(STATE);
  put_jump(code);
}

static uint8_t *map(uint64_t address, int protection) {
  return mmap((void *)address, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  uint8_t *data = map(DATA, PROT_READ | PROT_WRITE);
  uint8_t *state = map(STATE, PROT_READ | PROT_WRITE);
  uint8_t *code = map(CODE, PROT_READ | PROT_WRITE | PROT_EXEC);
  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
  sigaction(SIGFPE, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGILL, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  at = code + STUB_NEXT;
  put_exit(0);
  at = code + STUB_TAKEN;
  put_exit(1);
  at = code + STUB_ENTRY;
  put_entry(code);
  at = code + BRANCH_TARGET;
  put_jump(code + STUB_TAKEN);

  FILE *in = fopen(arguments[1], "rb");
  FILE *out = fopen(arguments[2], "wb");
  if (in == NULL || out == NULL) return 2;
  struct input input;
  struct output output;
  while (fread(&input, sizeof input, 1, in) == 1) {
    memset(&output, 0, sizeof output);
    memcpy(data, input.memory, DATA_SIZE);
    memcpy(state + IN_REGISTERS, input.registers, sizeof input.registers);
    memcpy(state + IN_FLAGS, &input.flags, 8);
    memcpy(code, input.code, input.length);
    at = code + input.length;
    put_jump(code + STUB_NEXT);
    last_signal = 0;
    if (sigsetjmp(after_signal, 1) == 0) ((void (*)(void))(code + STUB_ENTRY))();
    __asm__ volatile("cld");
    output.signal = last_signal;
    memcpy(output.registers, state + OUT, sizeof output.registers);
    memcpy(&output.flags, state + OUT + OUT_FLAGS, 8);
    memcpy(&output.taken, state + OUT + OUT_TAKEN, 8);
    memcpy(output.memory, data, DATA_SIZE);
    fwrite(&output, sizeof output, 1, out);
  }
  return fclose(out);
}
