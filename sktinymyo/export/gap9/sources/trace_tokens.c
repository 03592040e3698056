/* Checksums of the layers of an encoder. */
#include <string.h>

#include "memory.h"
#include "trace.h"

/* A layer whose heads are never side by side in memory. The checksum is affine: that of
 * a sum (modulo 2) of arrays is the sum of their checksums, and where their number is
 * even that of zeros once more. One head with zeros beside it is such an array. */
static void trace_head(const net_step *step)
{
    static int8_t row[NET_WIDTH], zeros[NET_WIDTH];
    const int8_t *own = l2(step->output);
    const int h = NET_HEAD_DIM, first = step->output_start;
    uint32_t crc = 0, empty = 0;
    memset(row, 0, sizeof row);
    for (int token = 0; token < NET_TOKENS; token++) {
        for (int i = 0; i < h; i++)
            row[first + i] = step->kind == STEP_VALUES ? own[i * NET_TOKENS + token]
                                                       : own[token * h + i];
        crc = crc32_update(crc, row, sizeof row);
        if (first == 0 && NET_HEADS % 2 == 0)
            empty = crc32_update(empty, zeros, sizeof zeros);
    }
    *trace_crc(step->layer) = crc ^ (first == 0 ? empty : *trace_crc(step->layer));
}

void trace_step(const net_step *step)
{
    const uint32_t tokens = (uint32_t)step->token_count, width = NET_WIDTH;
    const void *result = l2(step->output);
    uint32_t *crc = trace_crc(step->layer);
    const uint32_t before = step->token_start == 0 ? 0 : *crc;
    switch (step->kind) {
    case STEP_ROTATED:
    case STEP_VALUES: trace_head(step); break;
    case STEP_ATTENTION:
        if (step->output_start + NET_HEAD_DIM < NET_WIDTH) break;
        *crc = crc32_update(0, result, NET_TOKENS * width);
        break;
    case STEP_HIDDEN: *crc = crc32_update(before, result, tokens * NET_HIDDEN); break;
    case STEP_PATCH:
    case STEP_SUM:
    case STEP_OUTPUT: *crc = crc32_update(0, result, 2 * NET_TOKENS * width); break;
    case STEP_POOL: *crc = crc32_update(0, result, 2 * NET_POOLED); break;
    case STEP_HEAD: *crc = crc32_update(0, result, 4 * NET_CLASSES); break;
    default: *crc = crc32_update(0, result, NET_TOKENS * width);
    }
}
