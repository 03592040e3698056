/* A workstation: memory levels are arrays, cores run in turn or as threads. */
#ifdef NET_THREADS
#define _POSIX_C_SOURCE 200112L
#include <pthread.h>
#endif
#include "hal.h"

#include <stdio.h>

#include "hal_memory.h"

int hal_open(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return -1;
    size_t size = fread(l3, 1, sizeof l3, file);
    int longer = fgetc(file) != EOF;
    fclose(file);
    return size == sizeof l3 && !longer ? 0 : -2;
}

#ifdef NET_THREADS
typedef struct {
    hal_work work;
    void *argument;
    int part;
} task;

static void *run_task(void *argument)
{
    task *own = argument;
    own->work(own->argument, own->part, NET_CORES);
    return NULL;
}

void hal_parallel(hal_work work, void *argument)
{
    pthread_t threads[NET_CORES];
    task tasks[NET_CORES];
    int started = 0;
    for (int part = 0; part < NET_CORES; part++) {
        tasks[part].work = work;
        tasks[part].argument = argument;
        tasks[part].part = part;
    }
    while (started < NET_CORES - 1 &&
           pthread_create(&threads[started], NULL, run_task, &tasks[started]) == 0)
        started++;
    /* What got no thread runs here. */
    for (int part = started; part < NET_CORES; part++) run_task(&tasks[part]);
    for (int part = 0; part < started; part++) pthread_join(threads[part], NULL);
}
#else
void hal_parallel(hal_work work, void *argument)
{
    for (int part = 0; part < NET_CORES; part++) work(argument, part, NET_CORES);
}
#endif

int hal_read(void *data, uint32_t size)
{
    size_t n = fread(data, 1, size, stdin);
    return n == size ? 1 : n == 0 ? 0 : -1;
}

int hal_write(const void *data, uint32_t size)
{
    return fwrite(data, 1, size, stdout) == size ? 0 : -1;
}

void hal_print(const char *line)
{
    fputs(line, stderr);
}
