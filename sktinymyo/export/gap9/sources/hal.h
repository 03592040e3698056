/* What the network asks of a machine: copies between the levels of memory, cores, and
 * for the programs on a workstation also input and output. One hal_*.c is linked.
 *
 * L1 and L2 are the arenas of engine.c; L3 holds weights.bin and is only read. */
#ifndef HAL_H
#define HAL_H

#include <stdint.h>

/* Make the weights readable; 0, or what went wrong as a negative number. path names
 * weights.bin where the machine has files. */
int hal_open(const char *path);

/* n_rows rows of row_bytes, packed in L1 and row_stride apart in L2. Both wait. */
void hal_copy_in(void *l1, const void *l2, uint32_t row_bytes, uint32_t n_rows,
                 uint32_t row_stride);
void hal_copy_out(void *l2, const void *l1, uint32_t row_bytes, uint32_t n_rows,
                  uint32_t row_stride);

/* Start to copy [offset, offset + size) of weights.bin to L2. In each slot, from 0 to
 * NET_PIECES - 1, at most one copy is under way; hal_stream_wait ends it. */
void hal_stream_start(int slot, void *l2, uint32_t offset, uint32_t size);
void hal_stream_wait(int slot);

/* Run work(argument, part, NET_CORES) for every part and wait for all. */
typedef void (*hal_work)(void *argument, int part, int n_parts);
void hal_parallel(hal_work work, void *argument);

/* Programs on a workstation only: size bytes of standard input, 0 if it has ended
 * before; standard output; one line of text to standard error. */
int hal_read(void *data, uint32_t size);
int hal_write(const void *data, uint32_t size);
void hal_print(const char *line);

#endif
