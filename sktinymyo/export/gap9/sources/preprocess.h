/* Channels mapped and filtered in float32, then int8. Every operation is rounded by
 * itself and in the order of the reference: compile with -ffp-contract=off. */
#ifndef PREPROCESS_H
#define PREPROCESS_H

#include <stdint.h>

#include "net.h"

/* A recording filtered sample by sample. Set started to 0 to begin. */
typedef struct {
    int started;
    float state[NET_CHANNELS][NET_SECTIONS + 1][2];
} preprocess_stream;

/* The next sample of every channel, (NET_CHANNELS_IN,) to (NET_CHANNELS,). */
void preprocess_push(preprocess_stream *stream, const float *in, float *out);

/* A whole window, (NET_CHANNELS_IN, NET_TIMES) to (NET_CHANNELS, NET_TIMES), forwards
 * or forwards and backwards as the network was fitted. */
void preprocess_window(const float *in, float *out);

/* To the nearest int8, halves to the even one, in the scale of a channel. Infinities
 * are limited; NaN, which a sensor must not send, becomes -128. */
int8_t preprocess_quantise(int channel, float sample);

#endif
