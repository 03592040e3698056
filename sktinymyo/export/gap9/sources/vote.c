#include "vote.h"

#include "memory.h"
#include "net.h"

static int64_t sums[NET_CLASSES]; /* of probabilities in 16 bits */
static int32_t votes[NET_CLASSES], n_images;

void vote_begin(void)
{
    n_images = 0;
    for (int k = 0; k < NET_CLASSES; k++) sums[k] = votes[k] = 0;
}

void vote_add(const int32_t *logits)
{
    static uint32_t weights[NET_CLASSES];
    const uint16_t *table = l2(net_exp_table);
    uint32_t total = 0;
    int winner = 0;
    for (int k = 1; k < NET_CLASSES; k++)
        if (logits[k] > logits[winner]) winner = k;
    for (int k = 0; k < NET_CLASSES; k++) {
        /* Up to 2**32 - 1 apart. */
        uint64_t index = (uint32_t)logits[winner] - (uint32_t)logits[k];
        index = (index + 256) >> 9;
        weights[k] = table[index < 1023 ? index : 1023];
        total += weights[k];
    }
    for (int k = 0; k < NET_CLASSES; k++) sums[k] += (weights[k] << 16) / total;
    votes[winner]++;
    n_images++;
}

void vote_end(int32_t *scores)
{
    const int64_t n = n_images;
    for (int k = 0; k < NET_CLASSES; k++) {
        int64_t score = sums[k] << 14;
        if (n > 1) score = (((votes[k] * n) << 30) + score) / (n * (n + 1));
        scores[k] = (int32_t)score;
    }
}
