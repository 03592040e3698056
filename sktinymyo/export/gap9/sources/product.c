/* The one product of matrices that all linear layers and the attention share. */
#include <stddef.h>

#include "kernels.h"

/* Copies of the operands must stay small; deeper networks are not generated. */
#define MOST_DEPTH 4096

#if defined(__riscv) || defined(NET_NARROW)
#include "product_int8.h"
#elif defined(__AVX512F__) && defined(__AVX512VNNI__)
#include "product_vnni.h"
#else
#include "product_int16.h"
#endif

static void add_bias(const int32_t *bias, sums_block *block)
{
    for (int i = 0; i < block->n_rows; i++)
        for (int j = 0; j < block->n_outputs; j++)
            block->sums[i][j] += bias[block->output + j];
}

void multiply(const product *what, int first, int last, finish_function finish,
              const void *how)
{
    sums_block block;
    prepared ready;
    for (int output = 0; output < what->n_outputs; output += BLOCK_OUTPUTS) {
        const int rest = what->n_outputs - output;
        block.output = output;
        block.n_outputs = rest < BLOCK_OUTPUTS ? rest : BLOCK_OUTPUTS;
        prepare(what, &block, &ready);
        for (int row = first; row < last; row += BLOCK_ROWS) {
            block.row = row;
            block.n_rows = last - row < BLOCK_ROWS ? last - row : BLOCK_ROWS;
            block_sums(what, &ready, &block);
            if (what->bias != NULL) add_bias(what->bias, &block);
            finish(how, &block);
        }
    }
}
