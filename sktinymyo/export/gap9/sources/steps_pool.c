/* Means over tokens, or over the cells of a map. */
#include "steps.h"

#include <string.h>

#include "hal.h"
#include "memory.h"

typedef struct {
    const net_step *step;
    int n_rows;
} pool_work;

static void run_pool_rows(void *argument, int part, int n_parts)
{
    const pool_work *work = argument;
    const net_step *step = work->step;
    share own = share_of(NET_WIDTH, part, n_parts);
    pool_rows(l1(step->cut->l1_input), work->n_rows, NET_WIDTH, step->zero,
              l1(step->cut->l1_sums), own.first, own.last);
}

void run_pool(const net_step *step)
{
    const uint32_t width = NET_WIDTH;
    int32_t *sums = l1(step->cut->l1_sums);
    int16_t *pooled = l1(step->cut->l1_output);
    pool_work work = {step, 0};
    for (int group = 0; group < step->cut->n_out; group++) {
        memset(sums, 0, NET_WIDTH * sizeof *sums);
        for (int row = 0; row < step->token_count; row += step->cut->row_tile) {
            uint32_t token = (uint32_t)(group * step->token_count + row);
            work.n_rows = smaller(step->cut->row_tile, step->token_count - row);
            hal_copy_in(l1(step->cut->l1_input), l2(step->input + token * width), width,
                        (uint32_t)work.n_rows, width);
            hal_parallel(run_pool_rows, &work);
        }
        for (int i = 0; i < NET_WIDTH; i++)
            pooled[i] =
                clamp16(requantise(sums[i], step->scale.multiplier, step->scale.shift));
        hal_copy_out(l2(step->output + 2 * width * (uint32_t)group), pooled, 2 * width,
                     1, 2 * width);
    }
}
