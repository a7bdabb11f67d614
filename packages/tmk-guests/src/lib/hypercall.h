/* Hypercalls, through the hypercall page. TLFS, "Hypercall Interface". */
#pragma once

#include <stdint.h>

#define HV_HYPERCALL 0x40000001u
#define HYPERCALL_PAGE_ENABLED (1ul << 0)

enum hypercall_code {
    HVCALL_NOTIFY_LONG_SPIN_WAIT = 0x08,
    HVCALL_SEND_CLUSTER_IPI = 0x0b,
    HVCALL_ENABLE_PARTITION_VTL = 0x0d,
    HVCALL_ENABLE_VP_VTL = 0x0f,
    HVCALL_GET_VP_REGISTERS = 0x50,
    HVCALL_SET_VP_REGISTERS = 0x51,
    HVCALL_POST_MESSAGE = 0x5c,
    HVCALL_SIGNAL_EVENT = 0x5d,
    HVCALL_START_VP = 0x99,
};

enum hv_status {
    HV_STATUS_SUCCESS = 0,
    HV_STATUS_INVALID_HYPERCALL_CODE = 2,
    HV_STATUS_INVALID_HYPERCALL_INPUT = 3,
    HV_STATUS_INVALID_PARAMETER = 5,
    HV_STATUS_ACCESS_DENIED = 6,
    HV_STATUS_INVALID_VP_INDEX = 0x0e,
    HV_STATUS_INVALID_CONNECTION_ID = 0x12,
    HV_STATUS_INVALID_VP_STATE = 0x15,
    HV_STATUS_VTL_ALREADY_ENABLED = 0x86,
};

#define HV_PARTITION_SELF (~0ul)
#define HV_VP_SELF 0xfffffffeu
/* HV_INPUT_VTL: this VTL and no default. */
#define HV_INPUT_VTL(vtl) (0x10u | (vtl))

/* Registers of HvCallGetVpRegisters and HvCallSetVpRegisters. */
#define HV_REGISTER_VSM_CODE_PAGE_OFFSETS 0x000d0002u
#define HV_REGISTER_VSM_VINA 0x000d0005u

/* Enables the caller's VTL's hypercall page, at a page of the guest's own. hv_initialize comes first. */
void hypercall_enable(void *page);

/* One call through VTL0's hypercall page: the status. Parameters by memory, each at an 8-byte aligned address, or none. */
enum hv_status hypercall(enum hypercall_code code, const void *input, void *output);

/* One fast call: both parameters in registers. */
enum hv_status hypercall_fast(enum hypercall_code code, uint64_t first, uint64_t second);

/* The page hypercall() goes through; enabled by the first call of hypercall_initialize. */
void hypercall_initialize(void);

/* Reads or writes one register of this VP: HvCallGetVpRegisters, HvCallSetVpRegisters. */
enum hv_status hv_get_register(uint32_t name, uint64_t *value);
enum hv_status hv_set_register(uint32_t name, uint64_t value);

/* HV_INITIAL_VP_CONTEXT. */
struct hv_segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint16_t attributes;
};

struct hv_table {
    uint16_t reserved[3];
    uint16_t limit;
    uint64_t base;
};

struct hv_vp_context {
    uint64_t rip, rsp, rflags;
    struct hv_segment cs, ds, es, fs, gs, ss, tr, ldtr;
    struct hv_table idtr, gdtr;
    uint64_t efer, cr0, cr3, cr4, pat;
};

/* A context like the caller's own, in 64-bit mode on the guest's GDT, IDT and page tables, that starts at `entry`. */
struct hv_vp_context hv_context_like_this(void (*entry)(void), void *stack_top);

/* The input of HvCallStartVirtualProcessor and of HvCallEnableVpVtl. */
struct hv_start_input {
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl;
    uint8_t reserved[3];
    struct hv_vp_context context;
};
