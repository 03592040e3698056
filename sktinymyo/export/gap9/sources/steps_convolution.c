/* The steps of a network for images. A convolution is a product of matrices whose
 * rows are what each output cell looks at: the cores lay these out in L1, from the rows
 * of the map that a tile needs. */
#include <string.h>

#include "hal.h"
#include "memory.h"
#include "steps.h"

typedef struct {
    const net_layout *cut;
    const net_convolution *size;
    int first_cell, n_cells; /* of the output */
    int first_row;           /* of the map in L1 */
    int8_t padding;          /* beyond the border */
} gathering;

/* One row of the kernel at a cell: the columns within the map, padding beside them. */
static void gather_row(const net_convolution *size, const int8_t *map_row, int column,
                       int8_t padding, int8_t *out)
{
    const int end = column + size->kernel_columns, channels = size->channels;
    const int from = column < 0 ? 0 : column, to = smaller(end, size->map_columns);
    memset(out, padding, (size_t)((from - column) * channels));
    memcpy(out + (from - column) * channels, map_row + from * channels,
           (size_t)((to - from) * channels));
    memset(out + (to - column) * channels, padding, (size_t)((end - to) * channels));
}

static void gather_cell(const gathering *work, int cell, int8_t *out)
{
    const net_convolution *size = work->size;
    const int8_t *map = l1(size->l1_map);
    const int bytes = size->kernel_columns * size->channels;
    const int top = cell / size->out_columns * size->row_stride - size->kernel_rows / 2;
    const int column =
        cell % size->out_columns * size->column_stride - size->kernel_columns / 2;
    for (int row = top; row < top + size->kernel_rows; row++, out += bytes) {
        const int place = (row - work->first_row) * size->map_columns * size->channels;
        if (row < 0 || row >= size->map_rows)
            memset(out, work->padding, (size_t)bytes);
        else
            gather_row(size, map + place, column, work->padding, out);
    }
}

static void run_gather(void *argument, int part, int n_parts)
{
    const gathering *work = argument;
    const share own = share_of(work->n_cells, part, n_parts);
    int8_t *rows = l1(work->cut->l1_input);
    for (int i = own.first; i < own.last; i++)
        gather_cell(work, work->first_cell + i, rows + i * work->cut->n_in);
}

/* The rows of the map that the cells of a tile look at, in one run of bytes. */
static void load_map(const net_step *step, const tile *own, gathering *work)
{
    const net_convolution *size = step->cut->convolution;
    const int last_cell = own->row + own->n_rows - 1, above = size->kernel_rows / 2;
    const int first = own->row / size->out_columns * size->row_stride - above;
    const int last =
        last_cell / size->out_columns * size->row_stride - above + size->kernel_rows;
    const uint32_t row_bytes = (uint32_t)(size->map_columns * size->channels);
    work->first_row = first < 0 ? 0 : first;
    const uint32_t n_rows = (uint32_t)(smaller(last, size->map_rows) - work->first_row);
    const uint32_t n_bytes = n_rows * row_bytes;
    hal_copy_in(l1(size->l1_map),
                l2(step->input + (uint32_t)work->first_row * row_bytes), n_bytes, 1,
                n_bytes);
}

typedef struct {
    product what;
    to_map how;
    int n_rows;
} convolution;

/* The cores take different rows, or where these are few, different outputs: a kernel
 * that gets one row or one output multiplies slowly. */
static void run_convolution(void *argument, int part, int n_parts)
{
    const convolution *work = argument;
    if (work->n_rows >= 2 * n_parts || n_parts == 1) {
        const share own = share_of(work->n_rows, part, n_parts);
        multiply(&work->what, own.first, own.last, finish_map, &work->how);
        return;
    }
    const share fours = share_of((work->what.n_outputs + 3) / 4, part, n_parts);
    const int first = 4 * fours.first;
    product what = work->what;
    to_map how = work->how;
    what.n_outputs = smaller(4 * fours.last, what.n_outputs) - first;
    if (what.n_outputs <= 0) return;
    what.weight += first * what.depth;
    what.bias += first;
    how.multiplier += first, how.shift += first, how.out += first;
    multiply(&what, 0, work->n_rows, finish_map, &how);
}

void run_tile(const net_step *step, const tile *own)
{
    const net_layout *cut = step->cut;
    /* The zero point of the input is that of the layer before. */
    const int32_t zero = step == net_steps ? NET_INPUT_ZERO : step[-1].zero;
    gathering work = {cut, cut->convolution, own->row, own->n_rows, 0, (int8_t)zero};
    convolution sums = {{.rows = l1(cut->l1_input),
                         .weight = l1(cut->l1_weight),
                         .bias = l1(cut->l1_bias),
                         .row_stride = cut->n_in,
                         .depth = cut->n_in,
                         .n_outputs = own->n_outputs},
                        {l1(cut->l1_multiplier), l1(cut->l1_shift), l1(cut->l1_output),
                         own->n_outputs, step->zero},
                        own->n_rows};
    load_map(step, own, &work);
    hal_parallel(run_gather, &work);
    hal_parallel(run_convolution, &sums);
    hal_copy_out(l2(step->output + (uint32_t)(own->row * cut->n_out + own->output)),
                 sums.how.out, (uint32_t)own->n_outputs, (uint32_t)own->n_rows,
                 (uint32_t)cut->n_out);
}

void begin_linear(const net_step *step)
{
    (void)step;
}

void begin_outputs(const net_step *step, const tile *own)
{
    (void)step, (void)own;
}

void run_step(const net_step *step)
{
    if (step->kind == STEP_POOL)
        run_pool(step);
    else
        run_linear(step);
}
