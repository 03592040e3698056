/* Sums of products for workstations: most have vector instructions for pairs of int16,
 * few have them for int8, so that both operands are widened block by block. */
#ifndef PRODUCT_INT16_H
#define PRODUCT_INT16_H

#include "kernels.h"

typedef struct {
    int16_t weight[BLOCK_OUTPUTS * MOST_DEPTH];
} prepared;

static void prepare(const product *what, const sums_block *block, prepared *ready)
{
    const int8_t *weight = what->weight + (ptrdiff_t)block->output * what->depth;
    const int n = block->n_outputs * what->depth;
    for (int i = 0; i < n; i++) ready->weight[i] = weight[i];
}

static void widen(const product *what, int row, int16_t *wide)
{
    const ptrdiff_t at = (ptrdiff_t)row * what->row_stride;
    const int8_t *x = (const int8_t *)what->rows + at;
    const uint8_t *u = (const uint8_t *)what->rows + at;
    if (what->rows_are_unsigned)
        for (int k = 0; k < what->depth; k++) wide[k] = u[k];
    else
        for (int k = 0; k < what->depth; k++) wide[k] = x[k];
}

/* 4 rows x 4 outputs: the sixteen sums are independent, so that the compiler keeps each
 * in a vector of its own. */
static void wide_square(const int16_t *x, const int16_t *w, int depth, int32_t *sums)
{
    const int16_t *x0 = x, *x1 = x0 + depth, *x2 = x1 + depth, *x3 = x2 + depth;
    const int16_t *w0 = w, *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    int32_t a00 = 0, a01 = 0, a02 = 0, a03 = 0, a10 = 0, a11 = 0, a12 = 0, a13 = 0;
    int32_t a20 = 0, a21 = 0, a22 = 0, a23 = 0, a30 = 0, a31 = 0, a32 = 0, a33 = 0;
    for (int k = 0; k < depth; k++) {
        a00 += x0[k] * w0[k], a01 += x0[k] * w1[k];
        a02 += x0[k] * w2[k], a03 += x0[k] * w3[k];
        a10 += x1[k] * w0[k], a11 += x1[k] * w1[k];
        a12 += x1[k] * w2[k], a13 += x1[k] * w3[k];
        a20 += x2[k] * w0[k], a21 += x2[k] * w1[k];
        a22 += x2[k] * w2[k], a23 += x2[k] * w3[k];
        a30 += x3[k] * w0[k], a31 += x3[k] * w1[k];
        a32 += x3[k] * w2[k], a33 += x3[k] * w3[k];
    }
    const int stride = BLOCK_OUTPUTS;
    sums[0] = a00, sums[1] = a01, sums[2] = a02, sums[3] = a03, sums += stride;
    sums[0] = a10, sums[1] = a11, sums[2] = a12, sums[3] = a13, sums += stride;
    sums[0] = a20, sums[1] = a21, sums[2] = a22, sums[3] = a23, sums += stride;
    sums[0] = a30, sums[1] = a31, sums[2] = a32, sums[3] = a33;
}

static void wide_edge(const int16_t *x, const int16_t *w, int depth, int n_rows,
                      int n_outputs, int32_t *sums)
{
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_outputs; j++) {
            const int16_t *row = x + i * depth, *weight = w + j * depth;
            int32_t sum = 0;
            for (int k = 0; k < depth; k++) sum += row[k] * weight[k];
            sums[i * BLOCK_OUTPUTS + j] = sum;
        }
}

static void block_sums(const product *what, const prepared *ready, sums_block *block)
{
    int16_t rows[4 * MOST_DEPTH];
    const int depth = what->depth;
    for (int i = 0; i < block->n_rows; i += 4) {
        const int n_rows = block->n_rows - i < 4 ? block->n_rows - i : 4;
        for (int p = 0; p < n_rows; p++)
            widen(what, block->row + i + p, rows + p * depth);
        for (int j = 0; j < block->n_outputs; j += 4) {
            const int16_t *weight = ready->weight + j * depth;
            const int rest = block->n_outputs - j, n_outputs = rest < 4 ? rest : 4;
            if (n_rows == 4 && n_outputs == 4)
                wide_square(rows, weight, depth, &block->sums[i][j]);
            else
                wide_edge(rows, weight, depth, n_rows, n_outputs, &block->sums[i][j]);
        }
    }
}

#endif
