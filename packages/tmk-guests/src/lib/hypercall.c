#include "hypercall.h"

#include <stddef.h>

#include "tmk.h"
#include "x86.h"

_Static_assert(sizeof(struct hv_vp_context) == 224, "TLFS, HV_INITIAL_VP_CONTEXT");
_Static_assert(offsetof(struct hv_start_input, context) == 16, "TLFS, HvCallStartVirtualProcessor");

#define FAST (1ul << 16)
#define REPETITIONS(n) ((uint64_t)(n) << 32)
#define STATUS(result) ((enum hv_status)((result) & 0xffff))

#define MSR_EFER 0xc0000080u
#define MSR_PAT 0x277u
#define EFER_LMA (1ul << 10)
#define RFLAGS_ALWAYS_SET (1ul << 1)

/* Segment attributes, as in bits 40 to 55 of a descriptor: those of start.S, and a busy TSS of nothing. */
#define CODE_ATTRIBUTES 0xa09bu
#define DATA_ATTRIBUTES 0xc093u
#define TSS_ATTRIBUTES 0x008bu
#define LDT_ABSENT 0x0082u

static uint8_t vtl0_page[4096] __attribute__((aligned(4096)));

void hypercall_enable(void *page)
{
    wrmsr(HV_HYPERCALL, (uint64_t)page | HYPERCALL_PAGE_ENABLED);
    ASSERT_EQ(rdmsr(HV_HYPERCALL), (uint64_t)page | HYPERCALL_PAGE_ENABLED);
}

void hypercall_initialize(void)
{
    hypercall_enable(vtl0_page);
}

static uint64_t call_page(uint64_t control, uint64_t first, uint64_t second)
{
    uint64_t result;
    register uint64_t r8 asm("r8") = second;
    asm volatile("call *%4" : "=a"(result), "+c"(control), "+d"(first), "+r"(r8) : "r"(vtl0_page) : "r9", "r10", "r11", "memory", "cc");
    return result;
}

enum hv_status hypercall(enum hypercall_code code, const void *input, void *output)
{
    return STATUS(call_page(code, (uint64_t)input, (uint64_t)output));
}

enum hv_status hypercall_fast(enum hypercall_code code, uint64_t first, uint64_t second)
{
    return STATUS(call_page(code | FAST, first, second));
}

/* One repetition of a call on registers: a header of 16 bytes, then the element. */
struct register_input {
    uint64_t partition;
    uint32_t vp;
    uint32_t vtl;
    uint32_t name;
    uint32_t reserved[3];
    uint64_t value[2];
} __attribute__((aligned(16)));

enum hv_status hv_get_register(uint32_t name, uint64_t *value)
{
    struct register_input input = {.partition = HV_PARTITION_SELF, .vp = HV_VP_SELF, .name = name};
    uint64_t output[2] __attribute__((aligned(16))) = {0};
    uint64_t result = call_page(HVCALL_GET_VP_REGISTERS | REPETITIONS(1), (uint64_t)&input, (uint64_t)output);
    *value = *(volatile uint64_t *)output;
    return STATUS(result);
}

enum hv_status hv_set_register(uint32_t name, uint64_t value)
{
    struct register_input input = {.partition = HV_PARTITION_SELF, .vp = HV_VP_SELF, .name = name, .value = {value}};
    return STATUS(call_page(HVCALL_SET_VP_REGISTERS | REPETITIONS(1), (uint64_t)&input, 0));
}

struct hv_vp_context hv_context_like_this(void (*entry)(void), void *stack_top)
{
    struct hv_segment data = {.limit = 0xffffffff, .selector = 16, .attributes = DATA_ATTRIBUTES};
    struct hv_vp_context context = {
        .rip = (uint64_t)entry,
        .rsp = (uint64_t)stack_top,
        .rflags = RFLAGS_ALWAYS_SET,
        .cs = {.limit = 0xffffffff, .selector = 8, .attributes = CODE_ATTRIBUTES},
        .ds = data,
        .es = data,
        .fs = data,
        .gs = data,
        .ss = data,
        .tr = {.limit = 0xffff, .attributes = TSS_ATTRIBUTES},
        .ldtr = {.attributes = LDT_ABSENT},
        .efer = rdmsr(MSR_EFER) | EFER_LMA,
        .pat = rdmsr(MSR_PAT),
    };
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table;
    asm volatile("sgdt %0" : "=m"(table));
    context.gdtr = (struct hv_table){.limit = table.limit, .base = table.base};
    asm volatile("sidt %0" : "=m"(table));
    context.idtr = (struct hv_table){.limit = table.limit, .base = table.base};
    asm volatile("movq %%cr0, %0" : "=r"(context.cr0));
    asm volatile("movq %%cr3, %0" : "=r"(context.cr3));
    asm volatile("movq %%cr4, %0" : "=r"(context.cr4));
    return context;
}
