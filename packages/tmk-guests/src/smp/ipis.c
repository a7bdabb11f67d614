/* Interrupts from one VP to others. SDM volume 3, 11.6; TLFS, HvCallSendSyntheticClusterIpi, HV_X64_MSR_ICR. */
#include "../lib/apic.h"
#include "../lib/hypercall.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/ipi.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"
#include "smp.h"

#define IPI_VECTOR 0x55
#define QUIT_VECTOR 0x56
#define NMI_VECTOR 2
#define HV_ICR 0x40000071u
#define ROUNDS 100

static volatile uint32_t taken[VPS_MAX];
static volatile uint32_t quit[VPS_MAX];
static volatile uint32_t nmis[VPS_MAX];

static void on_ipi(struct interrupt_frame *frame)
{
    (void)frame;
    taken[vp_here()] = taken[vp_here()] + 1;
    apic_eoi();
}

static void on_quit(struct interrupt_frame *frame)
{
    (void)frame;
    quit[vp_here()] = 1;
    apic_eoi();
}

static void on_nmi(struct interrupt_frame *frame)
{
    (void)frame;
    nmis[vp_here()] = nmis[vp_here()] + 1;
}

/* The others halt, and count what wakes them, until they are told to quit. */
static void take_ipis(void)
{
    vp_arrive();
    halt_until(&quit[vp_here()], 1);
    vp_arrive();
}

static void start(void)
{
    smp_initialize();
    interrupts_handle(IPI_VECTOR, on_ipi);
    interrupts_handle(QUIT_VECTOR, on_quit);
    interrupts_handle(NMI_VECTOR, on_nmi);
    others_start(vp_start_by_hypercall, take_ipis);
    others_arrive();
}

static void expect_taken(uint32_t vp, uint32_t count)
{
    expect_count(&taken[vp], count);
}

static void finish(void)
{
    ipi_send(ICR_ASSERT | ICR_ALL_BUT_SELF | QUIT_VECTOR, 0);
    others_arrive();
}

TMK_TEST(smp, ipis_by_icr)
{
    if (!vps_at_least(2))
        return;
    start();
    uint32_t vps = vp_count();
    for (uint32_t vp = 1; vp < vps; vp++) {
        ipi_send(ICR_ASSERT | IPI_VECTOR, vp); /* by its id */
        expect_taken(vp, 1);
    }
    for (uint32_t vp = 1; vp < vps; vp++) {
        ipi_send(ICR_ASSERT | ICR_LOGICAL | IPI_VECTOR, LOGICAL_ID(vp));
        expect_taken(vp, 2);
    }
    ipi_send(ICR_ASSERT | ICR_ALL_BUT_SELF | IPI_VECTOR, 0);
    for (uint32_t vp = 1; vp < vps; vp++)
        expect_taken(vp, 3);
    ASSERT_EQ(taken[0], 0);
    ipi_send(ICR_ASSERT | ICR_ALL | IPI_VECTOR, 0);
    for (uint32_t vp = 0; vp < vps; vp++)
        expect_taken(vp, vp == 0 ? 1 : 4);
    finish();
    tmk_log("IPIs by id, by logical id, by both shorthands");
}

TMK_TEST(smp, ipis_by_hypervisor)
{
    if (!vps_at_least(2))
        return;
    start();
    uint32_t vps = vp_count();
    for (uint32_t vp = 1; vp < vps; vp++) {
        wrmsr(HV_ICR, (uint64_t)vp << 32 | ICR_ASSERT | IPI_VECTOR);
        expect_taken(vp, 1);
    }
    /* To all VPs by a mask of indexes, this one included. */
    ASSERT_EQ(hypercall_fast(HVCALL_SEND_CLUSTER_IPI, IPI_VECTOR, (1ul << vps) - 1), HV_STATUS_SUCCESS);
    for (uint32_t vp = 0; vp < vps; vp++)
        expect_taken(vp, vp == 0 ? 1 : 2);
    /* Vectors below 16 are no interrupts (TLFS). */
    ASSERT_EQ(hypercall_fast(HVCALL_SEND_CLUSTER_IPI, 15, 2), HV_STATUS_INVALID_PARAMETER);
    finish();
    tmk_log("IPIs by the synthetic ICR and by hypercall");
}

/* An NMI wakes a VP that halts with its interrupts off; this one halts with them on, and stays in its loop. */
TMK_TEST(smp, nmi)
{
    if (!vps_at_least(2))
        return;
    start();
    ipi_send(ICR_ASSERT | ICR_NMI, 1);
    expect_count(&nmis[1], 1);
    ipi_send(ICR_ASSERT | ICR_NMI | ICR_ALL_BUT_SELF, 0);
    for (uint32_t vp = 1; vp < vp_count(); vp++)
        expect_count(&nmis[vp], vp == 1 ? 2 : 1);
    ASSERT_EQ(nmis[0], 0);
    finish();
    tmk_log("every other VP took its NMI");
}

/* Two VPs wake each other, one always halted: no wake-up is lost. */
static void answer(void)
{
    vp_arrive();
    for (uint32_t n = 1; n <= ROUNDS; n++) {
        halt_until(&taken[1], n);
        ipi_send(ICR_ASSERT | IPI_VECTOR, 0);
    }
    vp_arrive();
}

TMK_TEST(smp, ping_pong)
{
    if (!vps_at_least(2))
        return;
    smp_initialize();
    interrupts_handle(IPI_VECTOR, on_ipi);
    others_start(vp_start_by_hypercall, answer);
    others_arrive();
    for (uint32_t n = 1; n <= ROUNDS; n++) {
        ipi_send(ICR_ASSERT | IPI_VECTOR, 1);
        halt_until(&taken[0], n);
    }
    ASSERT_EQ(taken[1], ROUNDS);
    tmk_log("%u rounds", ROUNDS);
}
