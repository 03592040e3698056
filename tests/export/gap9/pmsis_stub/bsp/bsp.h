#ifndef BSP_H
#define BSP_H

#include "pmsis.h"

struct pi_default_flash_conf {
    int baudrate;
};
struct pi_default_ram_conf {
    int baudrate;
};
void pi_default_flash_conf_init(struct pi_default_flash_conf *conf);
void pi_default_ram_conf_init(struct pi_default_ram_conf *conf);

#endif
