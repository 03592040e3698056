/* CRC-32 of every layer, of its values as int8, int16 or int32, token by token. */
#ifndef TRACE_H
#define TRACE_H

#include "net.h"

void trace_input(void);

/* After a step, while its result is there. */
void trace_step(const net_step *step);

uint32_t trace_crc(int layer);

#endif
