/* Checksums of the layers of a network for images, over all images of a window. */
#include "memory.h"
#include "trace.h"

void trace_step(const net_step *step)
{
    uint32_t size = (uint32_t)(step->token_count * step->cut->n_out);
    if (step->kind == STEP_POOL) size = 2 * NET_POOLED;
    if (step->kind == STEP_HEAD) size = 4 * NET_CLASSES;
    trace_add(step->layer, l2(step->output), size);
}
