#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 500
#define NEXT_MS 100

/* Of the one thread that there is. */
static struct {
    bool begun;
    bool shown;
    bool is_terminal;
    int64_t next; /* when something is shown again */
} state;

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_show(const char *what, uint64_t done, uint64_t total) {
    if (!state.begun) {
        state.begun = true;
        state.is_terminal = isatty(STDERR_FILENO);
        state.next = now_ms() + FIRST_MS;
    }
    if (!state.is_terminal || now_ms() < state.next)
        return;
    state.next = now_ms() + NEXT_MS;
    state.shown = true;
    double percent = total > 0 && done < total ? 100.0 * (double)done / (double)total : 100;
    fprintf(stderr, "\rshim-report: %s, %3.0f %%", what, percent);
    fflush(stderr);
}

void progress_end(void) {
    if (state.shown)
        fputs("\r\033[K", stderr);
    state.begun = false;
    state.shown = false;
}
