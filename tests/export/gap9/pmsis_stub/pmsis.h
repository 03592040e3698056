/* Names and signatures of the public pmsis interface, enough to compile the sources. */
#ifndef PMSIS_H
#define PMSIS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PI_L1 __attribute__((section(".data_l1")))
#define PI_L2 __attribute__((section(".l2_data")))

struct pi_device {
    void *config;
    void *data;
};

void pi_open_from_conf(struct pi_device *device, void *conf);
int pmsis_kickoff(void *entry);
void pmsis_exit(int status);

struct pi_cluster_conf {
    int id;
};
struct pi_cluster_task {
    void (*entry)(void *);
    void *arg;
    uint32_t stack_size;
    uint32_t slave_stack_size;
};
void pi_cluster_conf_init(struct pi_cluster_conf *conf);
int pi_cluster_open(struct pi_device *device);
int pi_cluster_close(struct pi_device *device);
struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task,
                                        void (*entry)(void *), void *arg);
int pi_cluster_send_task_to_cl(struct pi_device *device, struct pi_cluster_task *task);
uint32_t pi_core_id(void);
void pi_cl_team_fork(int n_cores, void (*entry)(void *), void *arg);
void pi_cl_team_barrier(void);

typedef enum { PI_CL_DMA_DIR_LOC2EXT = 0, PI_CL_DMA_DIR_EXT2LOC = 1 } pi_cl_dma_dir_e;

typedef struct {
    uint32_t ext;
    uint32_t loc;
    uint32_t id;
    uint32_t size;
    pi_cl_dma_dir_e dir;
    uint8_t merge;
} pi_cl_dma_copy_t;

typedef struct {
    uint32_t ext;
    uint32_t loc;
    uint32_t id;
    uint32_t size;
    uint32_t stride;
    uint32_t length;
    pi_cl_dma_dir_e dir;
    uint8_t merge;
} pi_cl_dma_copy_2d_t;

void pi_cl_dma_memcpy(pi_cl_dma_copy_t *copy);
void pi_cl_dma_memcpy_2d(pi_cl_dma_copy_2d_t *copy);
void pi_cl_dma_wait(void *copy);

#endif
