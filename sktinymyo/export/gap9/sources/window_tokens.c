/* A window is one run: the samples of its complete patches, channel by channel. */
#include "window.h"

#include <string.h>

#include "engine.h"
#include "net.h"
#include "trace.h"

int run_window(const int8_t *window, int32_t *logits)
{
    const int used = NET_PATCHES * NET_PATCH_SIZE;
    for (int channel = 0; channel < NET_CHANNELS; channel++)
        memcpy(engine_input() + channel * used, window + channel * NET_TIMES,
               (size_t)used);
#ifdef NET_TRACE
    trace_begin();
#endif
    return engine_run(logits);
}
