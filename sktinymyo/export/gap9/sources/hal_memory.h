/* The levels of memory where all of them are arrays: for hal_host.c and hal_qemu.c. */
#ifndef HAL_MEMORY_H
#define HAL_MEMORY_H

#include <string.h>

#include "hal.h"
#include "net.h"

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights.bin, windows and logits are little-endian, this machine is not"
#endif

static uint8_t l3[NET_WEIGHTS_BYTES];

void hal_copy_in(void *l1, const void *l2, uint32_t row_bytes, uint32_t n_rows,
                 uint32_t row_stride)
{
    if (row_bytes == row_stride) {
        memcpy(l1, l2, (size_t)row_bytes * n_rows);
        return;
    }
    for (uint32_t row = 0; row < n_rows; row++)
        memcpy((uint8_t *)l1 + (size_t)row * row_bytes,
               (const uint8_t *)l2 + (size_t)row * row_stride, row_bytes);
}

void hal_copy_out(void *l2, const void *l1, uint32_t row_bytes, uint32_t n_rows,
                  uint32_t row_stride)
{
    if (row_bytes == row_stride) {
        memcpy(l2, l1, (size_t)row_bytes * n_rows);
        return;
    }
    for (uint32_t row = 0; row < n_rows; row++)
        memcpy((uint8_t *)l2 + (size_t)row * row_stride,
               (const uint8_t *)l1 + (size_t)row * row_bytes, row_bytes);
}

static struct {
    void *l2;
    uint32_t offset, size;
} under_way[NET_PIECES];

void hal_stream_start(int slot, void *l2, uint32_t offset, uint32_t size)
{
    under_way[slot].l2 = l2;
    under_way[slot].offset = offset;
    under_way[slot].size = size;
#ifdef NET_TRACE
    /* A chip may write from now on: whoever still reads what was there shall notice. */
    memset(l2, 0x5A, size);
#endif
}

/* A chip may write until now: whoever has read before has not found the new bytes. */
void hal_stream_wait(int slot)
{
    memcpy(under_way[slot].l2, l3 + under_way[slot].offset, under_way[slot].size);
}

#endif
