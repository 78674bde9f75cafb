/* Stands in for the driver's libnvidia-ml.so.1: the machine is the text file that NVML_MACHINE names.
 *
 * A line is `key = value`; `[gpu]` begins a card.  Values are numbers or text as NVML would give them; `error N` makes
 * the question fail with NVML's code N; a key that is not there is "not supported" (3).  `lost_after = N` lets a card
 * answer N questions and then be lost (15).  Several `process = PID BYTES` lines make a list, `graphics` likewise.
 *
 *     cc -shared -fPIC -DBRANCH=470 -o libnvidia-ml.so.1 nvml.c
 *
 * BRANCH leaves out what that driver branch did not have yet, as the dynamic loader would find it.  MACHINE is the file
 * where the environment names none; NO_MACHINE the code with which NVML cannot begin where there is no such file.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef BRANCH
#define BRANCH 999
#endif
#ifndef MACHINE
#define MACHINE ""
#endif
#ifndef NO_MACHINE
#define NO_MACHINE SUCCESS
#endif

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9,
       GPU_IS_LOST = 15, UNKNOWN = 999 };
enum { MOST_CARDS = 16, MOST_LINES = 64 };

typedef struct { char key[32], value[256]; } line_t;
typedef struct { line_t lines[MOST_LINES]; int count, asked; } section_t;
typedef section_t *device_t;
typedef struct { unsigned pid; unsigned long long memory; } process_v1_t;
typedef struct { unsigned pid; unsigned long long memory; unsigned instance, compute_instance; } process_v2_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;

static section_t machine, cards[MOST_CARDS];
static int card_count, missing;

static void read_machine(void) {
    char text[512];
    section_t *section = &machine;
    FILE *file = fopen(getenv("NVML_MACHINE") ? getenv("NVML_MACHINE") : MACHINE, "r");

    memset(&machine, 0, sizeof machine);
    memset(cards, 0, sizeof cards);
    card_count = 0;
    missing = !file;
    while (file && fgets(text, sizeof text, file)) {
        line_t *line = &section->lines[section->count];
        if (strncmp(text, "[gpu]", 5) == 0 && card_count < MOST_CARDS)
            section = &cards[card_count++];
        else if (section->count < MOST_LINES && sscanf(text, " %31[a-z_] = %255[^\n]", line->key, line->value) == 2)
            section->count++;
    }
    if (file)
        fclose(file);
}

/* The value of the n-th line with this key, or none. */
static const char *find(section_t *section, const char *key, int n) {
    for (int i = 0; i < section->count; i++)
        if (strcmp(section->lines[i].key, key) == 0 && n-- == 0)
            return section->lines[i].value;
    return NULL;
}

static int ask(section_t *section, const char *key, const char **value) {
    int code = SUCCESS;
    const char *lost = find(section, "lost_after", 0);

    *value = find(section, key, 0);
    if (lost && section->asked++ >= atoi(lost))
        return GPU_IS_LOST;
    if (!*value)
        return NOT_SUPPORTED;
    if (sscanf(*value, "error %d", &code) == 1)
        return code;
    if (strcmp(*value, "hang") == 0)
        pause();
    return SUCCESS;
}

static int ask_text(section_t *section, const char *key, char *out, unsigned length) {
    const char *value;
    int code = ask(section, key, &value);

    if (code == SUCCESS && strlen(value) >= length)
        return INSUFFICIENT_SIZE;
    if (code == SUCCESS)
        strcpy(out, value);
    return code;
}

static int ask_number(section_t *section, const char *key, unsigned *out) {
    const char *value;
    int code = ask(section, key, &value);

    if (code == SUCCESS)
        *out = (unsigned)strtoul(value, NULL, 0);
    return code;
}

/* -- the machine -------------------------------------------------------------------------------------------------- */

int nvmlInitWithFlags(unsigned flags) {
    const char *value;
    int code;

    (void)flags;
    read_machine();
    if (missing)
        return NO_MACHINE;
    code = ask(&machine, "init", &value);
    return code == NOT_SUPPORTED ? SUCCESS : code;
}

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int code) {
    const char *value = find(&machine, "error_text", 0);

    return value ? value : code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *out, unsigned length) { return ask_text(&machine, "driver", out, length); }

int nvmlDeviceGetCount_v2(unsigned *out) {
    int code = ask_number(&machine, "count", out);

    if (code == NOT_SUPPORTED)
        *out = (unsigned)card_count;
    return code == NOT_SUPPORTED ? SUCCESS : code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t *out) {
    const char *value;
    int code;

    if (index >= (unsigned)card_count)
        return INVALID_ARGUMENT;
    *out = &cards[index];
    code = ask(*out, "handle", &value);
    return code == NOT_SUPPORTED ? SUCCESS : code;
}

/* -- a card ------------------------------------------------------------------------------------------------------- */

int nvmlDeviceGetName(device_t card, char *out, unsigned length) { return ask_text(card, "name", out, length); }
int nvmlDeviceGetUUID(device_t card, char *out, unsigned length) { return ask_text(card, "uuid", out, length); }
int nvmlDeviceGetComputeMode(device_t card, unsigned *out) { return ask_number(card, "compute_mode", out); }
int nvmlDeviceGetPersistenceMode(device_t card, unsigned *out) { return ask_number(card, "persistence", out); }
int nvmlDeviceGetDisplayActive(device_t card, unsigned *out) { return ask_number(card, "display", out); }

int nvmlDeviceGetCudaComputeCapability(device_t card, int *major, int *minor) {
    const char *value;
    int code = ask(card, "capability", &value);

    if (code == SUCCESS && sscanf(value, "%d.%d", major, minor) != 2)
        return UNKNOWN;
    return code;
}

int nvmlDeviceGetMemoryInfo(device_t card, memory_t *out) {
    const char *value;
    int code = ask(card, "memory", &value);

    if (code == SUCCESS && sscanf(value, "%llu %llu", &out->total, &out->used) != 2)
        return UNKNOWN;
    if (code == SUCCESS)
        out->free = out->total - out->used;
    return code;
}

int nvmlDeviceGetPciInfo_v3(device_t card, pci_t *out) {
    int code = ask_number(card, "pci_device", &out->id);

    if (code == SUCCESS)
        code = ask_text(card, "pci_bus", out->bus_id, sizeof out->bus_id);
    if (code == SUCCESS)
        sscanf(out->bus_id, "%x:%x:%x", &out->domain, &out->bus, &out->device);
    return code;
}

int nvmlDeviceGetTemperature(device_t card, unsigned sensor, unsigned *out) {
    return sensor == 0 ? ask_number(card, "temperature", out) : INVALID_ARGUMENT;
}

int nvmlDeviceGetTemperatureThreshold(device_t card, unsigned which, unsigned *out) {
    return which == 1 ? ask_number(card, "slowdown", out) : NOT_SUPPORTED;
}

int nvmlDeviceGetUtilizationRates(device_t card, utilization_t *out) {
    out->memory = 0;
    return ask_number(card, "utilization", &out->gpu);
}

int nvmlDeviceGetRetiredPagesPendingStatus(device_t card, unsigned *out) {
    return ask_number(card, "retired_pending", out);
}

/* `retired = N`: N pages with double bit errors (cause 1), none of another cause. */
int nvmlDeviceGetRetiredPages(device_t card, unsigned cause, unsigned *count, unsigned long long *out) {
    unsigned pages = 0;
    int code = ask_number(card, "retired", &pages);

    pages = cause == 1 ? pages : 0;
    if (code != SUCCESS)
        return code;
    if (*count < pages) {
        *count = pages;
        return INSUFFICIENT_SIZE;
    }
    for (*count = 0; *count < pages; (*count)++)
        out[*count] = 4096ULL * *count;
    return SUCCESS;
}

/* Fills `size` bytes per process; `key` names the list.  One that is not there at all has no processes. */
static int list(device_t card, const char *key, unsigned *count, void *out, size_t size) {
    const char *value;
    unsigned room = *count;
    int code = ask(card, key, &value);

    *count = 0;
    while (find(card, key, (int)*count))
        (*count)++;
    if (code != SUCCESS)
        return code == NOT_SUPPORTED ? SUCCESS : code;
    if (room < *count)
        return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++) {
        process_v1_t *process = (process_v1_t *)((char *)out + i * size);
        process->memory = ~0ULL; /* what NVML gives for "not available" */
        sscanf(find(card, key, (int)i), "%u %llu", &process->pid, &process->memory);
    }
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses(device_t card, unsigned *count, void *out) {
    return list(card, "process", count, out, sizeof(process_v1_t));
}

int nvmlDeviceGetGraphicsRunningProcesses(device_t card, unsigned *count, void *out) {
    return list(card, "graphics", count, out, sizeof(process_v1_t));
}

#if BRANCH >= 450
int nvmlDeviceGetComputeRunningProcesses_v2(device_t card, unsigned *count, void *out) {
    return list(card, "process", count, out, sizeof(process_v2_t));
}

int nvmlDeviceGetGraphicsRunningProcesses_v2(device_t card, unsigned *count, void *out) {
    return list(card, "graphics", count, out, sizeof(process_v2_t));
}

/* `remapped = PENDING FAILED` */
int nvmlDeviceGetRemappedRows(device_t card, unsigned *corrected, unsigned *uncorrected, unsigned *pending,
                              unsigned *failed) {
    const char *value;
    int code = ask(card, "remapped", &value);

    *corrected = *uncorrected = 0;
    if (code == SUCCESS && sscanf(value, "%u %u", pending, failed) != 2)
        return UNKNOWN;
    return code;
}
#endif

#if BRANCH >= 510
int nvmlDeviceGetComputeRunningProcesses_v3(device_t card, unsigned *count, void *out) {
    return list(card, "process", count, out, sizeof(process_v2_t));
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device_t card, unsigned *count, void *out) {
    return list(card, "graphics", count, out, sizeof(process_v2_t));
}
#endif
