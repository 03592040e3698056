/* The steps of the network. Each brings tiles from L2 to L1, lets the cores compute,
 * and brings the results back. */
#ifndef STEPS_H
#define STEPS_H

#include "net.h"

/* Defined once for every kind of network, in steps_tokens.c or steps_convolution.c. */
void run_step(const net_step *step);

void run_linear(const net_step *step); /* every step with a matrix of weights */
void run_layer_norm(const net_step *step);
void run_attention(const net_step *step);
void run_pool(const net_step *step);

/* Outputs [output, output + n_outputs) of rows [row, row + n_rows), counted from the
 * first output of the layer and the first row of the step. */
typedef struct {
    int output, n_outputs, row, n_rows;
} tile;

/* What run_linear asks of the kind of network: before a step, before the tiles of some
 * outputs, and for a tile whose constants are in L1. */
void begin_linear(const net_step *step);
void begin_outputs(const net_step *step, const tile *own);
void run_tile(const net_step *step, const tile *own);

static inline int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* What one core takes of n rows, or of n outputs. */
typedef struct {
    int first, last;
} share;

static inline share share_of(int n, int part, int n_parts)
{
    int each = (n + n_parts - 1) / n_parts;
    share own = {smaller(n, part * each), smaller(n, (part + 1) * each)};
    return own;
}

/* The product of matrices, its rows shared by the cores. */
void multiply_in_parallel(const product *what, int n_rows, finish_function finish,
                          const void *how);

#endif
