#include "kernels.h"

#include <stddef.h>

/* The requantised sums of one row of a block. */
static void requantise_row(const int32_t *multiplier, const int32_t *shift,
                           const sums_block *block, int row, int64_t *values)
{
    multiplier += block->output;
    shift += block->output;
    for (int j = 0; j < block->n_outputs; j++)
        values[j] = requantise(block->sums[row][j], multiplier[j], shift[j]);
}

void finish_stream(const void *how, const sums_block *block)
{
    const to_stream *to = how;
    int64_t values[BLOCK_OUTPUTS];
    for (int i = 0; i < block->n_rows; i++) {
        int row = block->row + i;
        int channel = (to->first_token + row) / to->n_patches;
        const int16_t *vector = to->vectors + channel * to->n_outputs + block->output;
        int16_t *out = to->out + row * to->n_outputs + block->output;
        requantise_row(to->multiplier, to->shift, block, i, values);
        for (int j = 0; j < block->n_outputs; j++)
            out[j] = clamp16(values[j] + vector[j]);
    }
}

void finish_table(const void *how, const sums_block *block)
{
    const to_table *to = how;
    const int8_t *table = to->table + 128;
    const int32_t zero = to->zero;
    int64_t values[BLOCK_OUTPUTS];
    int32_t indices[BLOCK_OUTPUTS];
    for (int i = 0; i < block->n_rows; i++) {
        int8_t *out = to->out + (block->row + i) * to->n_outputs + block->output;
        requantise_row(to->multiplier, to->shift, block, i, values);
        for (int j = 0; j < block->n_outputs; j++)
            indices[j] = clamp8(values[j] + zero);
        for (int j = 0; j < block->n_outputs; j++) out[j] = table[indices[j]];
    }
}

void finish_map(const void *how, const sums_block *block)
{
    const to_map *to = how;
    int64_t values[BLOCK_OUTPUTS];
    for (int i = 0; i < block->n_rows; i++) {
        int8_t *out = to->out + (block->row + i) * to->n_outputs + block->output;
        requantise_row(to->multiplier, to->shift, block, i, values);
        for (int j = 0; j < block->n_outputs; j++)
            out[j] = clamp8(values[j] + to->zero);
    }
}

void finish_values(const void *how, const sums_block *block)
{
    const to_values *to = how;
    int64_t values[BLOCK_OUTPUTS];
    for (int i = 0; i < block->n_rows; i++) {
        int8_t *out = to->out + block->output * to->row_stride + block->row + i;
        requantise_row(to->multiplier, to->shift, block, i, values);
        for (int j = 0; j < block->n_outputs; j++)
            out[j * to->row_stride] = clamp8(values[j]);
    }
}

void finish_rotated(const void *how, const sums_block *block)
{
    const to_rotated *to = how;
    int64_t values[BLOCK_OUTPUTS];
    for (int i = 0; i < block->n_rows; i++) {
        int row = block->row + i, token = (to->first_token + row) % to->table_length;
        const int16_t *turn =
            to->rotation + token * to->head_dim + to->first_output + block->output;
        int8_t *out = to->out + row * to->n_outputs + block->output;
        requantise_row(to->multiplier, to->shift, block, i, values);
        for (int j = 0; j + 1 < block->n_outputs; j += 2) {
            int32_t a = clamp16(values[j]), b = clamp16(values[j + 1]);
            int32_t c = turn[j], s = turn[j + 1];
            out[j] = clamp8((a * c - b * s + (1 << 19)) >> 20);
            out[j + 1] = clamp8((b * c + a * s + (1 << 19)) >> 20);
        }
    }
}

void finish_sum(const void *how, const sums_block *block)
{
    const to_sum *to = how;
    int64_t values[BLOCK_OUTPUTS];
    for (int i = 0; i < block->n_rows; i++) {
        int16_t *x = to->stream + (block->row + i) * to->n_outputs + block->output;
        requantise_row(to->multiplier, to->shift, block, i, values);
        for (int j = 0; j < block->n_outputs; j++)
            x[j] = clamp16(requantise(x[j], to->skip.multiplier, to->skip.shift) +
                           values[j]);
    }
}

void finish_sums(const void *how, const sums_block *block)
{
    const to_sums *to = how;
    for (int i = 0; i < block->n_rows; i++) {
        int32_t *out = to->out + (block->row + i) * to->row_stride + block->output;
        if (to->accumulate)
            for (int j = 0; j < block->n_outputs; j++) out[j] += block->sums[i][j];
        else
            for (int j = 0; j < block->n_outputs; j++) out[j] = block->sums[i][j];
    }
}

/* The floor of the square root, one binary digit at a time. */
static uint64_t square_root(uint64_t value)
{
    uint64_t root = 0, bit = (uint64_t)1 << 62;
    while (bit > value) bit >>= 2;
    for (; bit != 0; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

void normalise(const normalisation *what, const int16_t *x, int8_t *out, int first,
               int last)
{
    const int width = what->width;
    const int64_t half = (int64_t)1 << (what->shift - 1);
    for (int row = first; row < last; row++) {
        const int16_t *in = x + row * width;
        int8_t *y = out + row * width;
        int32_t total = 0;
        for (int i = 0; i < width; i++) total += in[i];
        uint64_t squares = 0;
        for (int i = 0; i < width; i++) {
            int32_t d = width * in[i] - total;
            squares += (uint64_t)((int64_t)d * d);
        }
        uint64_t root = square_root(squares / (uint32_t)width + what->epsilon);
        int64_t inverse = (int64_t)(((uint64_t)1 << 46) / (root > 1 ? root : 1));
        for (int i = 0; i < width; i++) {
            /* n is below 2**13 times the square root of the width. */
            int64_t d = width * in[i] - total;
            int32_t n = (int32_t)((d * inverse + ((int64_t)1 << 33)) >> 34);
            int64_t value = (int64_t)n * what->gain[i] + what->offset[i];
            value = (value + half) >> what->shift;
            y[i] = clamp8(value + what->zero);
        }
    }
}

/* Indices of the table that are computed before they are looked up. */
#define KEYS_AT_A_TIME 64

static int32_t weigh_row(const softmax *what, int32_t *scores)
{
    uint8_t *weights = (uint8_t *)scores;
    int32_t largest = scores[0], sum = 0;
    const factor step = what->step;
    for (int j = 1; j < what->n_keys; j++)
        largest = scores[j] > largest ? scores[j] : largest;
    for (int start = 0; start < what->n_keys; start += KEYS_AT_A_TIME) {
        /* Read before the bytes that follow them are written. */
        int32_t indices[KEYS_AT_A_TIME];
        int n = what->n_keys - start;
        if (n > KEYS_AT_A_TIME) n = KEYS_AT_A_TIME;
        for (int j = 0; j < n; j++) {
            int64_t index =
                requantise(largest - scores[start + j], step.multiplier, step.shift);
            indices[j] = (int32_t)(index < 1023 ? index : 1023);
        }
        for (int j = 0; j < n; j++) {
            uint8_t weight = what->table[indices[j]];
            weights[start + j] = weight;
            sum += weight;
        }
    }
    return sum;
}

void weigh(const softmax *what, int first, int last)
{
    for (int row = first; row < last; row++)
        what->totals[row] = weigh_row(what, what->scores + row * what->n_keys);
}

void divide(const division *what, int first, int last)
{
    const int width = what->head_dim;
    for (int row = first; row < last; row++) {
        const int32_t *mixed = what->mixed + row * width;
        const int64_t inverse =
            (int64_t)(((uint32_t)1 << 31) / (uint32_t)what->totals[row]);
        int8_t *out = what->out + row * width;
        for (int i = 0; i < width; i++) {
            int64_t n = (mixed[i] * inverse + (1 << 22)) >> 23;
            out[i] = clamp8(requantise(n, what->scale.multiplier, what->scale.shift));
        }
    }
}

void pool_rows(const int8_t *rows, int n_rows, int width, int32_t zero, int32_t *sums,
               int first, int last)
{
    for (int row = 0; row < n_rows; row++)
        for (int i = first; i < last; i++) sums[i] += rows[row * width + i] - zero;
}

int32_t head_row(const int16_t *pooled, const int8_t *weight, int width, int64_t bias,
                 factor scale)
{
    int64_t sum = bias;
    for (int i = 0; i < width; i++) sum += (int32_t)pooled[i] * weight[i];
    sum = requantise(sum, scale.multiplier, scale.shift);
    return (int32_t)(sum < INT32_MIN ? INT32_MIN : sum > INT32_MAX ? INT32_MAX : sum);
}

static const uint32_t crc_nibbles[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

uint32_t crc32_update(uint32_t crc, const void *data, uint32_t size)
{
    const uint8_t *byte = data;
    crc = ~crc;
    for (uint32_t i = 0; i < size; i++) {
        crc ^= byte[i];
        crc = (crc >> 4) ^ crc_nibbles[crc & 15];
        crc = (crc >> 4) ^ crc_nibbles[crc & 15];
    }
    return ~crc;
}
