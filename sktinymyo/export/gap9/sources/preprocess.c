#include "preprocess.h"

/* Transposed direct form II. */
static float section(const float *coefficients, float *state, float x)
{
    const float b0 = coefficients[0], b1 = coefficients[1], b2 = coefficients[2];
    const float a1 = coefficients[4], a2 = coefficients[5];
    float y = b0 * x + state[0];
    state[0] = (b1 * x - a1 * y) + state[1];
    state[1] = b2 * x - a2 * y;
    return y;
}

/* The state that an endless constant would have left. */
static void settle(float (*state)[2], float constant)
{
    for (int k = 0; k < NET_SECTIONS; k++) {
        state[k][0] = net_initial_state[k][0] * constant;
        state[k][1] = net_initial_state[k][1] * constant;
    }
}

static float cascade(float (*state)[2], float x)
{
    for (int k = 0; k < NET_SECTIONS; k++) x = section(net_sections[k], state[k], x);
    return x;
}

/* One channel of one instant; the channels of in are stride apart. */
static float map_channel(int channel, const float *in, int stride)
{
#if NET_MAPPED
    float y = 0.0f;
    for (int source = 0; source < NET_CHANNELS_IN; source++)
        y = y + net_mapper[channel][source] * in[source * stride];
    return y;
#else
    return in[channel * stride];
#endif
}

void preprocess_push(preprocess_stream *stream, const float *in, float *out)
{
    for (int channel = 0; channel < NET_CHANNELS; channel++) {
        float x = map_channel(channel, in, 1);
        if (!stream->started) settle(stream->state[channel], x);
        out[channel] = cascade(stream->state[channel], x);
    }
    stream->started = 1;
}

/* From the end of a row to its begin or the other way round, from a fresh start. */
static void run(float *row, int n, int step)
{
    float state[NET_SECTIONS + 1][2];
    settle(state, *row);
    for (int time = 0; time < n; time++, row += step) *row = cascade(state, *row);
}

/* One row of a window with its padding, continued as 2 * end - x at both ends. */
static void filter_row(float *row)
{
    static float extended[NET_TIMES + 2 * NET_PADDING];
    const int last = NET_TIMES - 1, n = NET_TIMES + 2 * NET_PADDING;
    float *inner = extended + NET_PADDING;
    for (int time = 0; time < NET_TIMES; time++) inner[time] = row[time];
    for (int k = 1; k <= NET_PADDING; k++) {
        inner[-k] = 2.0f * row[0] - row[k];
        inner[last + k] = 2.0f * row[last] - row[last - k];
    }
    run(extended, n, 1);
    if (NET_ZERO_PHASE) run(extended + n - 1, n, -1);
    for (int time = 0; time < NET_TIMES; time++) row[time] = inner[time];
}

void preprocess_window(const float *in, float *out)
{
    for (int channel = 0; channel < NET_CHANNELS; channel++) {
        float *row = out + channel * NET_TIMES;
        for (int time = 0; time < NET_TIMES; time++)
            row[time] = map_channel(channel, in + time, NET_TIMES);
        filter_row(row);
    }
}

int8_t preprocess_quantise(int channel, float sample)
{
    /* Below 2**22 in size, adding and taking away 1.5 * 2**23 rounds to a whole number
     * as rintf does, without a library of mathematics. */
    const float magic = 12582912.0f, limit = 1000.0f;
    float scaled = sample * net_input_scale[channel];
    scaled = scaled + net_input_offset[channel];
    if (!(scaled > -limit)) scaled = -limit;
    if (scaled > limit) scaled = limit;
    scaled = (scaled + magic) - magic;
    return (int8_t)(scaled < -128.0f ? -128.0f : scaled > 127.0f ? 127.0f : scaled);
}
