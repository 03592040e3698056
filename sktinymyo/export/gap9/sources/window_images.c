/* Every voting sample of a window is an image and one run. */
#include "window.h"

#include "engine.h"
#include "net.h"
#include "trace.h"
#include "vote.h"

/* The samples of all channels at one time, which are NET_TIMES apart. */
static void lay_out(const int8_t *samples, int8_t *image)
{
    for (int cell = 0; cell < NET_CELLS; cell++) {
        const int channel = net_cells[cell];
        image[cell] = channel < 0 ? NET_INPUT_ZERO : samples[channel * NET_TIMES];
    }
}

int run_window(const int8_t *window, int32_t *scores)
{
    static int32_t logits[NET_CLASSES];
#ifdef NET_TRACE
    trace_begin();
#endif
    vote_begin();
    for (int time = NET_TIMES - NET_VOTING; time < NET_TIMES; time++) {
        lay_out(window + time, engine_input());
        int failure = engine_run(logits);
        if (failure) return failure;
        vote_add(logits);
    }
    vote_end(scores);
#ifdef NET_TRACE
    trace_add(NET_LAYERS - 1, scores, 4 * NET_CLASSES);
#endif
    return 0;
}
