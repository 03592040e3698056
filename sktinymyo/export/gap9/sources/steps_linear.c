/* Linear layers: slabs of output channels, cut into tiles of outputs and rows. What
 * rows are, and where results go, is up to the kind of the network. */
#include "steps.h"

#include "hal.h"
#include "memory.h"

typedef struct {
    const product *what;
    int n_rows;
    finish_function finish;
    const void *how;
} product_work;

static void run_product(void *argument, int part, int n_parts)
{
    const product_work *work = argument;
    share own = share_of(work->n_rows, part, n_parts);
    multiply(work->what, own.first, own.last, work->finish, work->how);
}

void multiply_in_parallel(const product *what, int n_rows, finish_function finish,
                          const void *how)
{
    product_work work = {what, n_rows, finish, how};
    hal_parallel(run_product, &work);
}

static void load_constants(const net_step *step, const uint8_t *slab, int first, int n)
{
    uint32_t depth = (uint32_t)step->cut->n_in, count = (uint32_t)n,
             from = (uint32_t)first;
    uint32_t bias_bytes = step->kind == STEP_HEAD ? 8 : 4;
    hal_copy_in(l1(step->cut->l1_weight), slab + step->cut->slab_weight + from * depth,
                depth, count, depth);
    hal_copy_in(l1(step->cut->l1_bias), slab + step->cut->slab_bias + from * bias_bytes,
                bias_bytes, count, bias_bytes);
    hal_copy_in(l1(step->cut->l1_multiplier),
                slab + step->cut->slab_multiplier + from * 4, 4, count, 4);
    hal_copy_in(l1(step->cut->l1_shift), slab + step->cut->slab_shift + from * 4, 4,
                count, 4);
    if (step->kind == STEP_HIDDEN)
        hal_copy_in(l1(step->cut->l1_table), slab + step->cut->slab_table, 256, 1, 256);
}

typedef struct {
    const net_step *step;
    int n_outputs;
} head_work;

static void run_head(void *argument, int part, int n_parts)
{
    const head_work *work = argument;
    const net_step *step = work->step;
    const int8_t *weight = l1(step->cut->l1_weight);
    const int64_t *bias = l1(step->cut->l1_bias);
    const int32_t *multiplier = l1(step->cut->l1_multiplier),
                  *shift = l1(step->cut->l1_shift);
    int32_t *logits = l1(step->cut->l1_output);
    share own = share_of(work->n_outputs, part, n_parts);
    for (int k = own.first; k < own.last; k++) {
        factor scale = {multiplier[k], shift[k]};
        logits[k] = head_row(l1(step->cut->l1_input), weight + k * step->cut->n_in,
                             step->cut->n_in, bias[k], scale);
    }
}

static void head_tile(const net_step *step, const tile *own)
{
    head_work work = {step, own->n_outputs};
    const uint32_t bytes = 2 * (uint32_t)step->cut->n_in, n = (uint32_t)own->n_outputs;
    hal_copy_in(l1(step->cut->l1_input), l2(step->input), bytes, 1, bytes);
    hal_parallel(run_head, &work);
    hal_copy_out(l2(step->output + 4 * (uint32_t)own->output), l1(step->cut->l1_output),
                 4, n, 4);
}

void run_linear(const net_step *step)
{
    tile own;
    begin_linear(step);
    for (int start = 0; start < step->cut->n_out; start += step->cut->slab) {
        /* Places of constants that stay count from the start of the arena. */
        const uint8_t *slab = step->cut->stays ? l2(0) : take_slab();
        const int in_slab = smaller(step->cut->slab, step->cut->n_out - start);
        for (int out = 0; out < in_slab; out += step->cut->out_tile) {
            own.output = start + out;
            own.n_outputs = smaller(step->cut->out_tile, in_slab - out);
            load_constants(step, slab, out, own.n_outputs);
            begin_outputs(step, &own);
            for (own.row = 0; own.row < step->token_count;
                 own.row += step->cut->row_tile) {
                own.n_rows = smaller(step->cut->row_tile, step->token_count - own.row);
                if (step->kind == STEP_HEAD)
                    head_tile(step, &own);
                else
                    run_tile(step, &own);
            }
        }
    }
}
