/* From a quantised window to its logits, or to the scores of its vote. */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdint.h>

/* An int8 window (channels, times); returns what engine_run returns. */
int run_window(const int8_t *window, int32_t *logits);

#endif
