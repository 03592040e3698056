#include "engine.h"

#include <string.h>

#include "hal.h"
#include "memory.h"
#include "net.h"
#include "steps.h"
#ifdef NET_TRACE
#include "trace.h"
#endif

void engine_begin(void)
{
    clear_arenas();
    for (int i = 0; i < NET_RESIDENTS; i++) {
        const net_piece *piece = &net_residents[i];
        hal_stream_start(0, l2(piece->target), piece->source, piece->size);
        hal_stream_wait(0);
    }
}

int8_t *engine_input(void)
{
    return l2(net_input);
}

int engine_run(int32_t *logits)
{
#ifdef NET_TRACE
    trace_input();
#endif
    start_transfers();
    for (int i = 0; i < NET_STEPS; i++) {
        run_step(&net_steps[i]);
        if (!guards_are_intact()) return i + 1;
#ifdef NET_TRACE
        trace_step(&net_steps[i]);
#endif
    }
    memcpy(logits, l2(net_logits), 4 * NET_CLASSES);
    return 0;
}
