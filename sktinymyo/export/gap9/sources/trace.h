/* CRC-32 of every layer, of its values as int8, int16 or int32, row by row. */
#ifndef TRACE_H
#define TRACE_H

#include "net.h"

/* Before a window. */
void trace_begin(void);

/* After the input, and after a step, while its result is there. */
void trace_input(void);
void trace_step(const net_step *step);

/* More of the values of a layer. */
void trace_add(int layer, const void *data, uint32_t size);

uint32_t *trace_crc(int layer);

#endif
