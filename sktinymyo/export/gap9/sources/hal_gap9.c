/* GAP9 with pmsis: compiled against the public names of the interface, not run.
 *
 * The cluster's controller runs the engine. weights.bin comes from the read-only file
 * system in flash, is copied once to external RAM by the fabric controller, and is
 * streamed from there to L2. */
#include "hal.h"

#include "bsp/bsp.h"
#include "bsp/flash.h"
#include "bsp/fs.h"
#include "bsp/fs/readfs.h"
#include "bsp/ram.h"
#include "net.h"
#include "pmsis.h"

/* Bytes that pass through L2 at a time on their way from flash to RAM. */
#define CHUNK 4096
/* The DMA counts bytes of one command in 16 bits. */
#define MOST_PER_COMMAND 32768u

static struct pi_device flash, file_system, ram;
static uint32_t l3;
static uint8_t chunk[CHUNK];
static pi_cl_ram_req_t requests[NET_PIECES];

static int open_devices(void)
{
    static struct pi_default_flash_conf flash_conf;
    static struct pi_default_ram_conf ram_conf;
    static struct pi_readfs_conf readfs_conf;
    pi_default_flash_conf_init(&flash_conf);
    pi_open_from_conf(&flash, &flash_conf);
    if (pi_flash_open(&flash)) return -1;
    pi_readfs_conf_init(&readfs_conf);
    readfs_conf.fs.flash = &flash;
    pi_open_from_conf(&file_system, &readfs_conf);
    if (pi_fs_mount(&file_system)) return -2;
    pi_default_ram_conf_init(&ram_conf);
    pi_open_from_conf(&ram, &ram_conf);
    if (pi_ram_open(&ram)) return -3;
    return 0;
}

/* On the fabric controller, before the cluster starts. */
int hal_open(const char *path)
{
    int failure = open_devices();
    if (failure) return failure;
    pi_fs_file_t *file = pi_fs_open(&file_system, path, 0);
    if (file == NULL || file->size != NET_WEIGHTS_BYTES) return -4;
    if (pi_ram_alloc(&ram, &l3, NET_WEIGHTS_BYTES)) return -5;
    for (uint32_t at = 0; at < NET_WEIGHTS_BYTES;) {
        uint32_t rest = NET_WEIGHTS_BYTES - at;
        int32_t n = pi_fs_read(file, chunk, rest < CHUNK ? rest : CHUNK);
        if (n <= 0) return -6;
        pi_ram_write(&ram, l3 + at, chunk, (uint32_t)n);
        at += (uint32_t)n;
    }
    pi_fs_close(file);
    return 0;
}

/* Rows packed in L1 and row_stride apart in L2, in commands that the DMA can count. */
static void transfer(pi_cl_dma_dir_e direction, uint32_t l2, uint32_t l1,
                     uint32_t row_bytes, uint32_t n_rows, uint32_t row_stride)
{
    if (row_bytes == row_stride) {
        /* One run of bytes: any cut will do. */
        for (uint32_t at = 0, size = row_bytes * n_rows; at < size;) {
            uint32_t rest = size - at;
            pi_cl_dma_copy_t copy = {.dir = direction, .ext = l2 + at, .loc = l1 + at};
            copy.size = rest < MOST_PER_COMMAND ? rest : MOST_PER_COMMAND;
            at += copy.size;
            pi_cl_dma_memcpy(&copy);
            pi_cl_dma_wait(&copy);
        }
        return;
    }
    uint32_t rows_at_once = MOST_PER_COMMAND / row_bytes;
    if (rows_at_once == 0) rows_at_once = 1;
    for (uint32_t row = 0; row < n_rows; row += rows_at_once) {
        uint32_t rest = n_rows - row;
        uint32_t rows = rest < rows_at_once ? rest : rows_at_once;
        pi_cl_dma_copy_2d_t copy = {.dir = direction,
                                    .ext = l2 + row * row_stride,
                                    .loc = l1 + row * row_bytes,
                                    .size = rows * row_bytes,
                                    .length = row_bytes,
                                    .stride = row_stride};
        pi_cl_dma_memcpy_2d(&copy);
        pi_cl_dma_wait(&copy);
    }
}

void hal_copy_in(void *l1, const void *l2, uint32_t row_bytes, uint32_t n_rows,
                 uint32_t row_stride)
{
    transfer(PI_CL_DMA_DIR_EXT2LOC, (uint32_t)(uintptr_t)l2, (uint32_t)(uintptr_t)l1,
             row_bytes, n_rows, row_stride);
}

void hal_copy_out(void *l2, const void *l1, uint32_t row_bytes, uint32_t n_rows,
                  uint32_t row_stride)
{
    transfer(PI_CL_DMA_DIR_LOC2EXT, (uint32_t)(uintptr_t)l2, (uint32_t)(uintptr_t)l1,
             row_bytes, n_rows, row_stride);
}

void hal_stream_start(int slot, void *l2, uint32_t offset, uint32_t size)
{
    pi_cl_ram_read(&ram, l3 + offset, l2, size, &requests[slot]);
}

void hal_stream_wait(int slot)
{
    pi_cl_ram_read_wait(&requests[slot]);
}

typedef struct {
    hal_work work;
    void *argument;
} team;

/* The workers of a team are numbered from 0. */
static void run_core(void *argument)
{
    const team *own = argument;
    own->work(own->argument, (int)pi_core_id(), NET_CORES);
    pi_cl_team_barrier();
}

void hal_parallel(hal_work work, void *argument)
{
    team own = {work, argument};
    pi_cl_team_fork(NET_CORES, run_core, &own);
}

void hal_print(const char *line)
{
    printf("%s", line);
}
