#include "memory.h"

#include <string.h>

#include "hal.h"
#include "net.h"

/* On the chip variables lie in L2 unless told otherwise. */
#ifdef NET_GAP9
#include "pmsis.h"
#define IN_L1 PI_L1
#else
#define IN_L1
#endif

/* Bytes before and behind an arena that nobody may write. */
#define GUARD 64
#define PATTERN 0xA5

IN_L1 static uint8_t l1_arena[GUARD + NET_L1_BYTES + GUARD]
    __attribute__((aligned(16)));
static uint8_t l2_arena[GUARD + NET_L2_BYTES + GUARD] __attribute__((aligned(16)));

void *l1(uint32_t offset)
{
    return l1_arena + GUARD + offset;
}

void *l2(uint32_t offset)
{
    return l2_arena + GUARD + offset;
}

static int is_intact(const uint8_t *guard)
{
    for (int i = 0; i < GUARD; i++)
        if (guard[i] != PATTERN) return 0;
    return 1;
}

int guards_are_intact(void)
{
    return is_intact(l1_arena) && is_intact(l1_arena + GUARD + NET_L1_BYTES) &&
           is_intact(l2_arena) && is_intact(l2_arena + GUARD + NET_L2_BYTES);
}

void clear_arenas(void)
{
    memset(l1_arena, PATTERN, sizeof l1_arena);
    memset(l2_arena, PATTERN, sizeof l2_arena);
}

uint32_t bytes_used(int level)
{
    const uint8_t *arena = (level == 1 ? l1_arena : l2_arena) + GUARD;
    uint32_t size = level == 1 ? NET_L1_BYTES : NET_L2_BYTES;
    while (size > 0 && arena[size - 1] == PATTERN) size--;
    return size;
}

#if NET_TRANSFERS > 0
/* Index of the transfer that is under way. */
static int transfer;

static void start_transfer(int index)
{
    const net_transfer *next = &net_transfers[index];
    for (int i = 0; i < next->n_pieces; i++) {
        const net_piece *piece = &net_pieces[next->first_piece + i];
        hal_stream_start(i, l2(net_slabs[index % 2] + piece->target), piece->source,
                         piece->size);
    }
}

void start_transfers(void)
{
    transfer = 0;
    start_transfer(0);
}

const uint8_t *take_slab(void)
{
    const uint8_t *slab = l2(net_slabs[transfer % 2]);
    for (int i = 0; i < net_transfers[transfer].n_pieces; i++) hal_stream_wait(i);
    if (++transfer < NET_TRANSFERS) start_transfer(transfer);
    return slab;
}
#else
/* All constants stay in L2. */
void start_transfers(void)
{
}

const uint8_t *take_slab(void)
{
    return l2(0);
}
#endif
