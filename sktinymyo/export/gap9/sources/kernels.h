/* Integer kernels of the network. Each computes rows [first, last) of one tile that
 * lies in L1; cores share a tile by taking different rows. Shifts of negative numbers
 * are arithmetic, as every compiler named in the Makefile does them. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdint.h>

/* Multiplier and right shift of a requantisation, 1 <= shift <= 62. */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} factor;

static inline int64_t requantise(int64_t value, int32_t multiplier, int32_t shift)
{
    return (value * multiplier + ((int64_t)1 << (shift - 1))) >> shift;
}

static inline int8_t clamp8(int64_t value)
{
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

static inline int16_t clamp16(int64_t value)
{
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

/* Outputs computed together, and rows computed together. */
#define BLOCK_OUTPUTS 16
#ifdef __riscv
#define BLOCK_ROWS 4
#else
#define BLOCK_ROWS 8
#endif

/* sums of rows [row, row + n_rows) and outputs [output, output + n_outputs) */
typedef struct {
    int row, n_rows, output, n_outputs;
    int32_t sums[BLOCK_ROWS][BLOCK_OUTPUTS];
} sums_block;

/* What is done with sums as soon as they are known. */
typedef void (*finish_function)(const void *how, const sums_block *block);

/* sum[row][output] = bias[output] + sum over k of rows[row][k] * weight[output][k] */
typedef struct {
    const void *rows;     /* int8, or uint8 with rows_are_unsigned; (n, row_stride) */
    const int8_t *weight; /* (n_outputs, depth) */
    const int32_t *bias;  /* NULL for zeros */
    int row_stride, depth, n_outputs;
    int rows_are_unsigned;
} product;

void multiply(const product *what, int first, int last, finish_function finish,
              const void *how);

/* The patch map's result: int16 with the vector of the token's channel added. */
typedef struct {
    const int32_t *multiplier, *shift;
    const int16_t *vectors; /* (channels, n_outputs) */
    int16_t *out;           /* (n, n_outputs) */
    int n_outputs;
    int first_token; /* of row 0 */
    int n_patches;   /* tokens of a channel */
} to_stream;

void finish_stream(const void *how, const sums_block *block);

/* int8 through a table of 256 entries. */
typedef struct {
    const int32_t *multiplier, *shift;
    const int8_t *table;
    int8_t *out; /* (n, n_outputs) */
    int n_outputs;
    int32_t zero;
} to_table;

void finish_table(const void *how, const sums_block *block);

/* int8 with a zero point; the lowest value is the 0 of a ReLU. */
typedef struct {
    const int32_t *multiplier, *shift;
    int8_t *out; /* (n, n_outputs) */
    int n_outputs;
    int32_t zero;
} to_map;

void finish_map(const void *how, const sums_block *block);

/* Values of a head, written transposed: (n_outputs, row_stride). */
typedef struct {
    const int32_t *multiplier, *shift;
    int8_t *out;
    int row_stride;
} to_values;

void finish_values(const void *how, const sums_block *block);

/* Queries or keys of a head: int16, turned by pairs, int8. */
typedef struct {
    const int32_t *multiplier, *shift;
    const int16_t *rotation; /* (table_length, head_dim / 2, 2) */
    int8_t *out;             /* (n, n_outputs) */
    int n_outputs;
    int first_output; /* of the tile in its head; even */
    int head_dim;
    int first_token; /* row r uses row (first_token + r) % table_length */
    int table_length;
} to_rotated;

void finish_rotated(const void *how, const sums_block *block);

/* The stream plus a branch, in place. */
typedef struct {
    const int32_t *multiplier, *shift;
    factor skip;
    int16_t *stream; /* (n, n_outputs) */
    int n_outputs;
} to_sum;

void finish_sum(const void *how, const sums_block *block);

/* The sums as they are. */
typedef struct {
    int32_t *out;
    int row_stride;
    int accumulate; /* add to what is there */
} to_sums;

void finish_sums(const void *how, const sums_block *block);

typedef struct {
    const int32_t *gain;
    const int64_t *offset;
    uint64_t epsilon;
    int32_t shift, zero;
    int width;
} normalisation;

void normalise(const normalisation *what, const int16_t *x, int8_t *out, int first,
               int last);

/* Turn scores into weights of the softmax, without the division, in their place; totals
 * receives the sums of the weights. */
typedef struct {
    const uint8_t *table; /* 1024 entries */
    factor step;
    int32_t *scores; /* (n, n_keys); its rows begin with the n_keys weights, as bytes */
    int32_t *totals; /* (n,) */
    int n_keys;
} softmax;

void weigh(const softmax *what, int first, int last);

/* Divide mixed values by the totals of their weights. */
typedef struct {
    const int32_t *mixed;  /* (n, head_dim) */
    const int32_t *totals; /* (n,) */
    int8_t *out;           /* (n, head_dim) */
    factor scale;
    int head_dim;
} division;

void divide(const division *what, int first, int last);

/* Add (value - zero) of n rows to the sums of [first, last) columns. */
void pool_rows(const int8_t *rows, int n_rows, int width, int32_t zero, int32_t *sums,
               int first, int last);

/* One logit. */
int32_t head_row(const int16_t *pooled, const int8_t *weight, int width, int64_t bias,
                 factor scale);

/* CRC-32 (as zlib); start with 0. */
uint32_t crc32_update(uint32_t crc, const void *data, uint32_t size);

#endif
