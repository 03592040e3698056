/* The instructions of Xpulp that the kernels use, as functions. */
#ifndef XPULP_H
#define XPULP_H

#include <stdint.h>

typedef int8_t four_int8 __attribute__((vector_size(4)));
typedef uint8_t four_uint8 __attribute__((vector_size(4)));

static inline int32_t xpulp_sdotsp4(four_int8 a, four_int8 b, int32_t sum)
{
    for (int i = 0; i < 4; i++) sum += a[i] * b[i];
    return sum;
}

static inline int32_t xpulp_sdotusp4(four_uint8 a, four_int8 b, int32_t sum)
{
    for (int i = 0; i < 4; i++) sum += a[i] * b[i];
    return sum;
}

#define __builtin_pulp_sdotsp4 xpulp_sdotsp4
#define __builtin_pulp_sdotusp4 xpulp_sdotusp4
#define __riscv_xpulp 1
#define NET_NARROW 1

#endif
