/* The steps of an encoder: what linear layers do with tokens. */
#include "steps.h"

#include "hal.h"
#include "memory.h"

/* The vectors of all channels for the outputs of a tile. */
static void load_vectors(const net_step *step, int first, int n)
{
    hal_copy_in(l1(step->cut->l1_vectors),
                l2(net_channel_vectors + 2 * (uint32_t)first), 2 * (uint32_t)n,
                NET_CHANNELS, 2 * NET_WIDTH);
}

/* Rows of the rotary table from the first token of a tile; row t is that of token
 * t modulo the length of the table. */
static void load_rotation(const net_step *step, int token, int n_rows)
{
    const uint32_t row_bytes = 2 * NET_HEAD_DIM;
    for (int done = 0; done < n_rows;) {
        int from = (token + done) % NET_TABLE_LENGTH;
        int n = smaller(n_rows - done, NET_TABLE_LENGTH - from);
        hal_copy_in(l1(step->cut->l1_rotation + (uint32_t)done * row_bytes),
                    l2(net_rotation + (uint32_t)from * row_bytes), row_bytes,
                    (uint32_t)n, row_bytes);
        done += n;
    }
}

static void patch_tile(const net_step *step, const product *what, const tile *own)
{
    const int token = step->token_start + own->row;
    to_stream how = {l1(step->cut->l1_multiplier),
                     l1(step->cut->l1_shift),
                     l1(step->cut->l1_vectors),
                     l1(step->cut->l1_output),
                     own->n_outputs,
                     token,
                     NET_PATCHES};
    multiply_in_parallel(what, own->n_rows, finish_stream, &how);
    hal_copy_out(l2(step->output + 2 * (uint32_t)(token * NET_WIDTH + own->output)),
                 how.out, 2 * (uint32_t)own->n_outputs, (uint32_t)own->n_rows,
                 2 * NET_WIDTH);
}

static void rotated_tile(const net_step *step, const product *what, const tile *own)
{
    to_rotated how = {l1(step->cut->l1_multiplier),
                      l1(step->cut->l1_shift),
                      l1(step->cut->l1_rotation),
                      l1(step->cut->l1_output),
                      own->n_outputs,
                      own->output,
                      NET_HEAD_DIM,
                      0,
                      own->n_rows};
    if (step->cut->rotation_rows == NET_TABLE_LENGTH) {
        /* The whole table is there since the step began. */
        how.first_token = step->token_start + own->row;
        how.table_length = NET_TABLE_LENGTH;
    } else {
        load_rotation(step, step->token_start + own->row, own->n_rows);
    }
    multiply_in_parallel(what, own->n_rows, finish_rotated, &how);
    hal_copy_out(l2(step->output + (uint32_t)(own->row * NET_HEAD_DIM + own->output)),
                 how.out, (uint32_t)own->n_outputs, (uint32_t)own->n_rows,
                 NET_HEAD_DIM);
}

/* Values are stored transposed, (NET_HEAD_DIM, NET_TOKENS): the sum over keys then
 * reads neighbouring bytes. */
static void values_tile(const net_step *step, const product *what, const tile *own)
{
    to_values how = {l1(step->cut->l1_multiplier), l1(step->cut->l1_shift),
                     l1(step->cut->l1_output), own->n_rows};
    multiply_in_parallel(what, own->n_rows, finish_values, &how);
    hal_copy_out(l2(step->output + (uint32_t)(own->output * NET_TOKENS + own->row)),
                 how.out, (uint32_t)own->n_rows, (uint32_t)own->n_outputs, NET_TOKENS);
}

static void hidden_tile(const net_step *step, const product *what, const tile *own)
{
    to_table how = {
        l1(step->cut->l1_multiplier), l1(step->cut->l1_shift), l1(step->cut->l1_table),
        l1(step->cut->l1_output),     own->n_outputs,          step->zero};
    multiply_in_parallel(what, own->n_rows, finish_table, &how);
    hal_copy_out(l2(step->output + (uint32_t)(own->row * NET_HIDDEN + own->output)),
                 how.out, (uint32_t)own->n_outputs, (uint32_t)own->n_rows, NET_HIDDEN);
}

static void sum_tile(const net_step *step, const product *what, const tile *own)
{
    const int token = step->token_start + own->row;
    const uint32_t bytes = 2 * (uint32_t)own->n_outputs, n = (uint32_t)own->n_rows;
    int16_t *stream =
        l2(step->output + 2 * (uint32_t)(token * NET_WIDTH + own->output));
    to_sum how = {l1(step->cut->l1_multiplier), l1(step->cut->l1_shift), step->scale,
                  l1(step->cut->l1_output), own->n_outputs};
    hal_copy_in(how.stream, stream, bytes, n, 2 * NET_WIDTH);
    multiply_in_parallel(what, own->n_rows, finish_sum, &how);
    hal_copy_out(stream, how.stream, bytes, n, 2 * NET_WIDTH);
}

void run_tile(const net_step *step, const tile *own)
{
    const product what = {.rows = l1(step->cut->l1_input),
                          .weight = l1(step->cut->l1_weight),
                          .bias = l1(step->cut->l1_bias),
                          .row_stride = step->cut->n_in,
                          .depth = step->cut->n_in,
                          .n_outputs = own->n_outputs};
    /* The hidden layer of a part of the tokens begins with that part. */
    int row = own->row + (step->kind == STEP_OUTPUT ? 0 : step->token_start);
    uint32_t depth = (uint32_t)step->cut->n_in;
    hal_copy_in(l1(step->cut->l1_input), l2(step->input + (uint32_t)row * depth), depth,
                (uint32_t)own->n_rows, depth);
    switch (step->kind) {
    case STEP_PATCH: patch_tile(step, &what, own); break;
    case STEP_ROTATED: rotated_tile(step, &what, own); break;
    case STEP_VALUES: values_tile(step, &what, own); break;
    case STEP_HIDDEN: hidden_tile(step, &what, own); break;
    default: sum_tile(step, &what, own);
    }
}

void begin_linear(const net_step *step)
{
    if (step->kind == STEP_ROTATED && step->cut->rotation_rows == NET_TABLE_LENGTH)
        load_rotation(step, 0, NET_TABLE_LENGTH);
}

void begin_outputs(const net_step *step, const tile *own)
{
    if (step->kind == STEP_PATCH) load_vectors(step, own->output, own->n_outputs);
}

void run_step(const net_step *step)
{
    switch (step->kind) {
    case STEP_NORM: run_layer_norm(step); break;
    case STEP_ATTENTION: run_attention(step); break;
    case STEP_POOL: run_pool(step); break;
    default: run_linear(step);
    }
}
