/* The tables that net.c fills: what the engine does, and where everything lies. All
 * places are bytes from the start of an arena, or of weights.bin for sources. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdint.h>

#include "kernels.h"

typedef enum {
    STEP_PATCH,     /* patches to the stream */
    STEP_NORM,      /* LayerNorm of the stream */
    STEP_ROTATED,   /* queries or keys of a head */
    STEP_VALUES,    /* values of a head, stored transposed */
    STEP_ATTENTION, /* of a head */
    STEP_SUM,       /* projection, added to the stream */
    STEP_HIDDEN,    /* linear map and GELU, for some tokens */
    STEP_OUTPUT,    /* back from the hidden layer, added to the stream */
    STEP_POOL,
    STEP_HEAD,
    STEP_CONVOLUTION /* map to map; "tokens" are cells of the output */
} step_kind;

/* The map that a convolution reads, the width of the one that it writes, the kernel,
 * and where in L1 the rows of the map lie that a tile needs. */
typedef struct {
    int channels, map_rows, map_columns, out_columns;
    int kernel_rows, kernel_columns, row_stride, column_stride;
    uint32_t l1_map;
} net_convolution;

/* How a step is cut, and where its parts lie in L1 and in a slab. Many steps share one;
 * what a step does not have is 0. */
typedef struct {
    int row_tile, out_tile, slab; /* tokens, outputs of a tile; outputs of a transfer */
    int n_in, n_out;
    int key_block;     /* keys in L1 at a time */
    int rotation_rows; /* of the rotary table in L1 */
    int stays;         /* constants lie in L2, at their places in the arena */
    const net_convolution *convolution;
    uint32_t slab_weight, slab_bias, slab_multiplier, slab_shift, slab_table;
    uint32_t slab_gain, slab_offset;
    uint32_t l1_input, l1_output;
    uint32_t l1_weight, l1_bias, l1_multiplier, l1_shift;
    uint32_t l1_vectors, l1_rotation, l1_table;
    uint32_t l1_gain, l1_offset;
    uint32_t l1_query, l1_key, l1_value, l1_scores, l1_accumulators, l1_sums;
    uint32_t l1_exp_table;
} net_layout;

typedef struct {
    step_kind kind;
    int layer; /* of the trace */
    const net_layout *cut;
    int token_start, token_count;
    int output_start;                   /* first column of a head */
    uint32_t input, output, key, value; /* in L2; the input of an attention: queries */
    factor scale;                       /* of the stream, of the softmax, of the pool */
    factor out_scale;                   /* of the attention's result */
    int32_t zero, shift; /* of a LayerNorm; zero also of what is pooled */
    uint64_t epsilon;
} net_step;

/* A run of bytes from weights.bin to a slab, or to L2 for good. */
typedef struct {
    uint32_t source, size, target;
} net_piece;

typedef struct {
    int first_piece, n_pieces;
} net_transfer;

#endif
