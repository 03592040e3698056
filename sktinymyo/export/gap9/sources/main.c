/* Windows in, logits out.
 *
 * On a workstation: net MODE weights.bin, with windows on standard input and results on
 * standard output, both raw little-endian and one behind the other.
 *   int8     int8 windows (channels, times) to int32 logits or scores
 *   float32  float32 windows before the preprocessing (channels in, times) to logits
 *   filter   the same to preprocessed float32 windows
 *   stream   float32 samples (channels in,) of a recording to filtered ones (channels,)
 * With NET_TRACE, standard error receives the CRC-32 of every layer and the peaks.
 *
 * On GAP9: the windows of vectors.c, compared with its logits. */
#include <string.h>

#include "engine.h"
#include "hal.h"
#include "memory.h"
#include "net.h"
#include "preprocess.h"
#include "trace.h"
#include "window.h"

static char *append(char *at, const char *text)
{
    while (*text) *at++ = *text++;
    return at;
}

static char *append_number(char *at, uint32_t number, uint32_t base)
{
    char digits[10];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    while (n > 0) *at++ = digits[--n];
    return at;
}

/* One line "first second number". */
static void print_line(const char *first, const char *second, uint32_t number,
                       uint32_t base)
{
    char line[160];
    char *at = append(line, first);
    at = append(at, " ");
    at = append(at, second);
    at = append(at, " ");
    at = append_number(at, number, base);
    *append(at, "\n") = 0;
    hal_print(line);
}

#ifdef NET_TRACE
static void print_trace(void)
{
    for (int layer = 0; layer < NET_LAYERS; layer++)
        print_line("crc", net_layers[layer], *trace_crc(layer), 16);
}
#endif

#ifdef NET_GAP9
#include "pmsis.h"
#include "vectors.h"

static int failures;

static void run_vectors(void *unused)
{
    (void)unused;
    engine_begin();
    for (int window = 0; window < NET_VECTORS; window++) {
        /* Not on the stack, which is small. */
        static int32_t logits[NET_CLASSES];
        failures += run_window(net_vector_input[window], logits) != 0 ||
                    memcmp(logits, net_vector_logits[window], sizeof logits) != 0;
#ifdef NET_TRACE
        print_trace();
#endif
    }
}

static void run(void)
{
    static struct pi_device cluster;
    static struct pi_cluster_conf conf;
    static struct pi_cluster_task task;
    if (hal_open("weights.bin")) pmsis_exit(-1);
    pi_cluster_conf_init(&conf);
    pi_open_from_conf(&cluster, &conf);
    if (pi_cluster_open(&cluster)) pmsis_exit(-2);
    pi_cluster_task(&task, run_vectors, NULL);
    task.stack_size = 4096;
    task.slave_stack_size = 2048;
    pi_cluster_send_task_to_cl(&cluster, &task);
    pi_cluster_close(&cluster);
    print_line("vectors", "that differ", (uint32_t)failures, 10);
    pmsis_exit(failures);
}

int main(void)
{
    return pmsis_kickoff((void *)run);
}

#else
static int8_t window[NET_CHANNELS][NET_TIMES];
static float raw[NET_CHANNELS_IN][NET_TIMES], filtered[NET_CHANNELS][NET_TIMES];

static void quantise_window(void)
{
    for (int channel = 0; channel < NET_CHANNELS; channel++)
        for (int time = 0; time < NET_TIMES; time++)
            window[channel][time] =
                preprocess_quantise(channel, filtered[channel][time]);
}

static int answer_window(void)
{
    static int32_t logits[NET_CLASSES];
    int failure = run_window(&window[0][0], logits);
    if (failure) {
        print_line("an arena was overrun", "in step", (uint32_t)failure - 1, 10);
        return 4;
    }
#ifdef NET_TRACE
    print_trace();
#endif
    return hal_write(logits, sizeof logits) ? 5 : 0;
}

static int run_windows(int is_float)
{
    int more, failure = 0;
    while ((more = is_float ? hal_read(raw, sizeof raw)
                            : hal_read(window, sizeof window)) > 0) {
        if (is_float) {
            preprocess_window(&raw[0][0], &filtered[0][0]);
            quantise_window();
        }
        if ((failure = answer_window()) != 0) return failure;
    }
#ifdef NET_TRACE
    print_line("peak", "L1", bytes_used(1), 10);
    print_line("peak", "L2", bytes_used(2), 10);
#endif
    return more;
}

static int filter_windows(void)
{
    int more;
    while ((more = hal_read(raw, sizeof raw)) > 0) {
        preprocess_window(&raw[0][0], &filtered[0][0]);
        if (hal_write(filtered, sizeof filtered)) return 5;
    }
    return more;
}

static int filter_recording(void)
{
    static preprocess_stream stream;
    float in[NET_CHANNELS_IN], out[NET_CHANNELS];
    int more;
    while ((more = hal_read(in, sizeof in)) > 0) {
        preprocess_push(&stream, in, out);
        if (hal_write(out, sizeof out)) return 5;
    }
    return more;
}

int main(int n_arguments, char **arguments)
{
    int status = 2;
    const char *mode = n_arguments == 3 ? arguments[1] : "";
    if (n_arguments == 3 && hal_open(arguments[2])) {
        hal_print("weights.bin is missing or of the wrong size\n");
        return 3;
    }
    engine_begin();
    if (strcmp(mode, "int8") == 0) status = run_windows(0);
    if (strcmp(mode, "float32") == 0) status = run_windows(1);
    if (strcmp(mode, "filter") == 0) status = filter_windows();
    if (strcmp(mode, "stream") == 0) status = filter_recording();
    if (status == 2) hal_print("use: net int8|float32|filter|stream weights.bin\n");
    if (status < 0) hal_print("the input ends within a window\n");
    return status < 0 ? 6 : status;
}
#endif
