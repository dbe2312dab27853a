#define _GNU_SOURCE
#include "waits.h"

#include "../common/picture.h"
#include "lock/picture_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define HOLDS_MAX 4096

static struct {
    const int *directory;
    int64_t warn_ns;
    struct picture picture;
    struct {
        uint32_t seq; /* which wait at this place */
        int64_t next; /* how long it is when it is told again */
    } told[PICTURE_WAITS];
} watch;

void waits_begin(const int *directory, int64_t warn_ns) {
    watch.directory = directory;
    watch.warn_ns = warn_ns;
    watch.picture.directory = getcwd(NULL, 0);
}

int64_t waits_interval(void) {
    if (watch.warn_ns <= 0)
        return 0;
    if (watch.warn_ns >= SECOND)
        return SECOND;
    return watch.warn_ns > SECOND / 20 ? watch.warn_ns : SECOND / 20;
}

static bool is_to_be_told(const struct seen *wait, int64_t now) {
    int64_t lasted = now - wait->since;
    if (watch.told[wait->place].seq != wait->seq) {
        watch.told[wait->place].seq = wait->seq;
        watch.told[wait->place].next = watch.warn_ns;
    }
    if (lasted < watch.told[wait->place].next)
        return false;
    while (watch.told[wait->place].next <= lasted)
        watch.told[wait->place].next *= 2;
    return true;
}

static void tell(const struct seen *wait, const struct seen *holds, size_t count, int64_t now) {
    char *line = NULL;
    size_t length = 0;
    struct output terminal = output_on(stderr);
    FILE *memory = open_memstream(&line, &length);
    if (!memory)
        return;
    struct output output = output_like(&terminal, memory);
    fputs("raceshim: ", memory);
    picture_show_wait(&output, &watch.picture, wait, holds, count, now);
    fputc('\n', memory);
    if (fclose(memory) == 0)
        fwrite(line, 1, length, stderr); /* whole, among what the job prints */
    free(line);
}

void waits_look(void) {
    static struct seen waits[PICTURE_WAITS];
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    int64_t now = time.tv_sec * SECOND + time.tv_nsec;
    if (!picture_read(&watch.picture, *watch.directory) || !picture_has_waits(&watch.picture) ||
        !picture_read_holds(&watch.picture, *watch.directory))
        return;
    size_t wait_count = picture_waits(&watch.picture, waits, PICTURE_WAITS);
    struct seen *holds = NULL;
    size_t hold_count = 0;
    for (size_t i = 0; i < wait_count; i++) {
        if (!is_to_be_told(&waits[i], now))
            continue;
        if (!holds && (holds = calloc(HOLDS_MAX, sizeof *holds)))
            hold_count = picture_holds(&watch.picture, holds, HOLDS_MAX);
        tell(&waits[i], holds, hold_count, now);
    }
    free(holds);
}
