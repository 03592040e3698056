/* LayerNorm of the stream. */
#include "steps.h"

#include "hal.h"
#include "memory.h"

typedef struct {
    normalisation what;
    const int16_t *in;
    int8_t *out;
    int n_rows;
} norm_work;

static void run_norm(void *argument, int part, int n_parts)
{
    const norm_work *work = argument;
    share own = share_of(work->n_rows, part, n_parts);
    normalise(&work->what, work->in, work->out, own.first, own.last);
}

void run_layer_norm(const net_step *step)
{
    const uint8_t *slab = take_slab();
    const uint32_t width = NET_WIDTH;
    norm_work work = {{l1(step->cut->l1_gain), l1(step->cut->l1_offset), step->epsilon,
                       step->shift, step->zero, NET_WIDTH},
                      l1(step->cut->l1_input),
                      l1(step->cut->l1_output),
                      0};
    hal_copy_in(l1(step->cut->l1_gain), slab + step->cut->slab_gain, 4 * width, 1,
                4 * width);
    hal_copy_in(l1(step->cut->l1_offset), slab + step->cut->slab_offset, 8 * width, 1,
                8 * width);
    for (int row = 0; row < NET_TOKENS; row += step->cut->row_tile) {
        const uint32_t at = (uint32_t)row * width;
        work.n_rows = smaller(step->cut->row_tile, NET_TOKENS - row);
        hal_copy_in(l1(step->cut->l1_input), l2(step->input + 2 * at), 2 * width,
                    (uint32_t)work.n_rows, 2 * width);
        hal_parallel(run_norm, &work);
        hal_copy_out(l2(step->output + at), l1(step->cut->l1_output), width,
                     (uint32_t)work.n_rows, width);
    }
}
