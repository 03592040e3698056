/* Attention of one head: queries tile by tile, with all keys or with blocks of them. */
#include "steps.h"

#include "hal.h"
#include "memory.h"

typedef struct {
    const softmax *weights;
    const division *result;
    int n_rows;
} attention_work;

static void run_weigh(void *argument, int part, int n_parts)
{
    const attention_work *work = argument;
    share own = share_of(work->n_rows, part, n_parts);
    weigh(work->weights, own.first, own.last);
}

static void run_divide(void *argument, int part, int n_parts)
{
    const attention_work *work = argument;
    share own = share_of(work->n_rows, part, n_parts);
    divide(work->result, own.first, own.last);
}

/* Scores of a tile of queries with all keys. */
static void score(const net_step *step, int n_rows, int fetch)
{
    const int h = NET_HEAD_DIM;
    for (int key = 0; key < NET_TOKENS; key += step->cut->key_block) {
        const int n = smaller(step->cut->key_block, NET_TOKENS - key);
        const product what = {.rows = l1(step->cut->l1_query),
                              .weight = l1(step->cut->l1_key),
                              .row_stride = h,
                              .depth = h,
                              .n_outputs = n};
        const to_sums how = {(int32_t *)l1(step->cut->l1_scores) + key, NET_TOKENS, 0};
        if (fetch)
            hal_copy_in(l1(step->cut->l1_key), l2(step->key + (uint32_t)(key * h)),
                        (uint32_t)h, (uint32_t)n, (uint32_t)h);
        multiply_in_parallel(&what, n_rows, finish_sums, &how);
    }
}

/* Values of all keys, mixed by the weights that stand in place of the scores. */
static void mix(const net_step *step, int n_rows, int fetch)
{
    const int h = NET_HEAD_DIM;
    for (int key = 0; key < NET_TOKENS; key += step->cut->key_block) {
        const int n = smaller(step->cut->key_block, NET_TOKENS - key);
        const product what = {.rows = (uint8_t *)l1(step->cut->l1_scores) + key,
                              .weight = l1(step->cut->l1_value),
                              .row_stride = 4 * NET_TOKENS,
                              .depth = n,
                              .n_outputs = h,
                              .rows_are_unsigned = 1};
        const to_sums how = {l1(step->cut->l1_accumulators), h, key > 0};
        if (fetch)
            hal_copy_in(l1(step->cut->l1_value), l2(step->value + (uint32_t)key),
                        (uint32_t)n, (uint32_t)h, NET_TOKENS);
        multiply_in_parallel(&what, n_rows, finish_sums, &how);
    }
}

void run_attention(const net_step *step)
{
    const uint32_t h = NET_HEAD_DIM;
    const int stays = step->cut->key_block == NET_TOKENS;
    const softmax weights = {l1(step->cut->l1_exp_table), step->scale,
                             l1(step->cut->l1_scores), l1(step->cut->l1_sums),
                             NET_TOKENS};
    const division result = {l1(step->cut->l1_accumulators), l1(step->cut->l1_sums),
                             l1(step->cut->l1_output), step->out_scale, NET_HEAD_DIM};
    attention_work work = {&weights, &result, 0};
    hal_copy_in(l1(step->cut->l1_exp_table), l2(net_exp_table), 1024, 1, 1024);
    for (int row = 0; row < NET_TOKENS; row += step->cut->row_tile) {
        const int fetch = row == 0 || !stays;
        work.n_rows = smaller(step->cut->row_tile, NET_TOKENS - row);
        hal_copy_in(l1(step->cut->l1_query), l2(step->input + (uint32_t)row * h), h,
                    (uint32_t)work.n_rows, h);
        score(step, work.n_rows, fetch);
        hal_parallel(run_weigh, &work);
        mix(step, work.n_rows, fetch);
        hal_parallel(run_divide, &work);
        hal_copy_out(
            l2(step->output + (uint32_t)(row * NET_WIDTH + step->output_start)),
            l1(step->cut->l1_output), h, (uint32_t)work.n_rows, NET_WIDTH);
    }
}
