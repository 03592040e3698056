/* The arenas of L1 and L2, and the constants that come from L3. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>

/* Fill the arenas, and the guards around them, with a pattern. */
void clear_arenas(void);

/* The place so many bytes behind the start of an arena. */
void *l1(uint32_t offset);
void *l2(uint32_t offset);

/* Whether nobody has written before or behind an arena. */
int guards_are_intact(void);

/* Bytes of the arena of level 1 or 2 that were written since it was cleared. */
uint32_t bytes_used(int level);

/* Begin with the constants of a run. */
void start_transfers(void);

/* The next slab of constants. While it is used, the one after it is under way to the
 * other slab buffer. */
const uint8_t *take_slab(void);

#endif
