/* Sums of products for small cores: int8 read as it lies. */
#ifndef PRODUCT_INT8_H
#define PRODUCT_INT8_H

#include "kernels.h"

/* Xpulp multiplies four pairs of int8 and adds them in one instruction. */
#if defined(__riscv_xpulp) || defined(__riscv_xpulpv2) || defined(__gap9__)
typedef int8_t vector_int8 __attribute__((vector_size(4)));
typedef uint8_t vector_uint8 __attribute__((vector_size(4)));
#define FOUR(type, pointer) (*(const type *)((pointer) + k))
#define QUADS(vector, dot)                                                  \
    for (; k + 4 <= depth; k += 4) {                                        \
        vector r0 = FOUR(vector, x0), r1 = FOUR(vector, x1);                \
        vector_int8 v0 = FOUR(vector_int8, w0), v1 = FOUR(vector_int8, w1); \
        vector_int8 v2 = FOUR(vector_int8, w2), v3 = FOUR(vector_int8, w3); \
        a00 = dot(r0, v0, a00), a01 = dot(r0, v1, a01);                     \
        a02 = dot(r0, v2, a02), a03 = dot(r0, v3, a03);                     \
        a10 = dot(r1, v0, a10), a11 = dot(r1, v1, a11);                     \
        a12 = dot(r1, v2, a12), a13 = dot(r1, v3, a13);                     \
    }
#else
#define QUADS(vector, dot)
#endif

/* 2 rows x 4 outputs: six values read for eight products, and all sums fit the
 * registers of a 32-bit RISC-V core. */
#define DEFINE_PAIR(name, row_type, vector, dot)                                  \
    static void name(const row_type *x0, int stride, const int8_t *w0, int depth, \
                     int32_t *sums)                                               \
    {                                                                             \
        const row_type *x1 = x0 + stride;                                         \
        const int8_t *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;        \
        int32_t a00 = 0, a01 = 0, a02 = 0, a03 = 0, a10 = 0, a11 = 0, a12 = 0;    \
        int32_t a13 = 0;                                                          \
        int k = 0;                                                                \
        QUADS(vector, dot)                                                        \
        for (; k < depth; k++) {                                                  \
            a00 += x0[k] * w0[k], a01 += x0[k] * w1[k];                           \
            a02 += x0[k] * w2[k], a03 += x0[k] * w3[k];                           \
            a10 += x1[k] * w0[k], a11 += x1[k] * w1[k];                           \
            a12 += x1[k] * w2[k], a13 += x1[k] * w3[k];                           \
        }                                                                         \
        sums[0] = a00, sums[1] = a01, sums[2] = a02, sums[3] = a03;               \
        sums += BLOCK_OUTPUTS;                                                    \
        sums[0] = a10, sums[1] = a11, sums[2] = a12, sums[3] = a13;               \
    }                                                                             \
    static int32_t name##_edge(const row_type *x, const int8_t *w, int depth)     \
    {                                                                             \
        int32_t sum = 0;                                                          \
        for (int k = 0; k < depth; k++) sum += x[k] * w[k];                       \
        return sum;                                                               \
    }                                                                             \
    static void name##_block(const row_type *rows, int stride, const int8_t *w,   \
                             int depth, sums_block *block)                        \
    {                                                                             \
        for (int i = 0; i < block->n_rows; i += 2)                                \
            for (int j = 0; j < block->n_outputs; j += 4) {                       \
                const row_type *x = rows + i * stride;                            \
                if (i + 2 <= block->n_rows && j + 4 <= block->n_outputs) {        \
                    name(x, stride, w + j * depth, depth, &block->sums[i][j]);    \
                    continue;                                                     \
                }                                                                 \
                for (int p = i; p < i + 2 && p < block->n_rows; p++)              \
                    for (int q = j; q < j + 4 && q < block->n_outputs; q++)       \
                        block->sums[p][q] =                                       \
                            name##_edge(rows + p * stride, w + q * depth, depth); \
            }                                                                     \
    }

DEFINE_PAIR(pair_signed, int8_t, vector_int8, __builtin_pulp_sdotsp4)
DEFINE_PAIR(pair_unsigned, uint8_t, vector_uint8, __builtin_pulp_sdotusp4)

/* Weights are used where they lie. */
typedef struct {
    const int8_t *weight;
} prepared;

static void prepare(const product *what, const sums_block *block, prepared *ready)
{
    ready->weight = what->weight + (ptrdiff_t)block->output * what->depth;
}

static void block_sums(const product *what, const prepared *ready, sums_block *block)
{
    const int stride = what->row_stride;
    const ptrdiff_t at = (ptrdiff_t)block->row * stride;
    if (what->rows_are_unsigned)
        pair_unsigned_block((const uint8_t *)what->rows + at, stride, ready->weight,
                            what->depth, block);
    else
        pair_signed_block((const int8_t *)what->rows + at, stride, ready->weight,
                          what->depth, block);
}

#endif
