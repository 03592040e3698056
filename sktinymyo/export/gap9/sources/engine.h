/* One run of the network, on the tokens of a window or on one image: the steps of
 * net.c, in arenas for L1 and L2. */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdint.h>

/* After hal_open and before the first window; on GAP9 by the cluster. */
void engine_begin(void);

/* Where the caller writes the int8 input, (tokens, samples of a patch) or (cells). */
int8_t *engine_input(void);

/* Compute the logits of the input; its place is used for other things meanwhile.
 * Returns 0, or n if step n - 1 wrote beyond its arena. */
int engine_run(int32_t *logits);

#endif
