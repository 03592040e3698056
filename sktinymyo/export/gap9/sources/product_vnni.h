/* Sums of products for x86 with AVX-512 VNNI: one instruction adds 64 products of uint8
 * and int8 to 16 sums. The sums of a vector are those of 16 outputs, which are
 * therefore packed side by side, four neighbours of the depth at a time.
 *
 * Signed rows get 128 added, and each output starts at -128 times its sum of weights.
 */
#ifndef PRODUCT_VNNI_H
#define PRODUCT_VNNI_H

#include <immintrin.h>
#include <string.h>

#include "kernels.h"

typedef struct {
    int8_t weight[MOST_DEPTH / 4][BLOCK_OUTPUTS][4];
    __m512i start;
} prepared;

static __m512i packed(const prepared *ready, int quad)
{
    return _mm512_loadu_si512(ready->weight[quad]);
}

static void prepare(const product *what, const sums_block *block, prepared *ready)
{
    const int depth = what->depth, n_quads = (depth + 3) / 4;
    const int8_t *weight = what->weight + (ptrdiff_t)block->output * depth;
    if (block->n_outputs < BLOCK_OUTPUTS || depth % 4 != 0)
        memset(ready->weight, 0, (size_t)n_quads * sizeof ready->weight[0]);
    for (int j = 0; j < block->n_outputs; j++, weight += depth) {
        for (int quad = 0; quad < depth / 4; quad++)
            memcpy(ready->weight[quad][j], weight + 4 * quad, 4);
        for (int k = depth / 4 * 4; k < depth; k++)
            ready->weight[k / 4][j][k % 4] = weight[k];
    }
    __m512i sum = _mm512_setzero_si512();
    if (!what->rows_are_unsigned)
        for (int quad = 0; quad < n_quads; quad++)
            sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), packed(ready, quad));
    ready->start = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
}

static void block_sums(const product *what, const prepared *ready, sums_block *block)
{
    uint8_t rows[BLOCK_ROWS][MOST_DEPTH];
    const int depth = what->depth, n_quads = (depth + 3) / 4;
    const uint8_t flip = what->rows_are_unsigned ? 0 : 128;
    __m512i sums[BLOCK_ROWS];
    for (int i = 0; i < BLOCK_ROWS; i++) {
        /* Rows that are missing repeat the last one, and nobody reads their sums. */
        const int row = block->row + (i < block->n_rows ? i : block->n_rows - 1);
        const uint8_t *x =
            (const uint8_t *)what->rows + (ptrdiff_t)row * what->row_stride;
        for (int k = 0; k < depth; k++) rows[i][k] = x[k] ^ flip;
        for (int k = depth; k < 4 * n_quads; k++) rows[i][k] = 0;
        sums[i] = ready->start;
    }
    for (int quad = 0; quad < n_quads; quad++)
        for (int i = 0; i < BLOCK_ROWS; i++) {
            int32_t four;
            memcpy(&four, rows[i] + 4 * quad, 4);
            sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_set1_epi32(four),
                                          packed(ready, quad));
        }
    for (int i = 0; i < BLOCK_ROWS; i++) _mm512_storeu_si512(block->sums[i], sums[i]);
}

#endif
