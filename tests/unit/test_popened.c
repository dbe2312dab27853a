/* Which process is behind which stream of popen's. */
#include "check.h"
#include "env/popened.h"

#include <pthread.h>
#include <stdlib.h>

#define STREAMS 1000
static char streams[STREAMS];

static size_t count_fds(void) {
    size_t count = 0, at = 0;
    while (popened_next_fd(&at) >= 0)
        count++;
    return count;
}

TEST("H1: each stream leads to its process, once") {
    CHECK_EQ(popened_take(&streams[0]), 0);
    for (int i = 0; i < STREAMS; i++)
        CHECK(popened_add(&streams[i], i, 1000 + i));
    CHECK_EQ(count_fds(), STREAMS);
    for (int i = 0; i < STREAMS; i += 2)
        CHECK_EQ(popened_take(&streams[i]), 1000 + i);
    CHECK_EQ(count_fds(), STREAMS / 2);
    CHECK_EQ(popened_take(&streams[0]), 0);
    CHECK_EQ(popened_take(NULL), 0);
    CHECK(popened_add(&streams[0], 0, 5));
    CHECK_EQ(popened_take(&streams[0]), 5);
    for (int i = 1; i < STREAMS; i += 2)
        CHECK_EQ(popened_take(&streams[i]), 1000 + i);
    CHECK_EQ(count_fds(), 0);
    CHECK_EQ(popened_count, 0);
}

#define THREADS 4
#define ROUNDS 2000

static void *add_and_take(void *argument) {
    char *own = argument;
    long failed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        popened_begin();
        for (int s = 0; s < STREAMS / THREADS; s += 50)
            failed += !popened_add(own + s, s, s + 1);
        popened_end();
        for (int s = 0; s < STREAMS / THREADS; s += 50)
            failed += popened_take(own + s) != s + 1;
    }
    return (void *)failed;
}

TEST("H2: threads that open and close streams at the same time get their own") {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_and_take, &streams[i * (STREAMS / THREADS)]);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        CHECK_EQ((long)failed, 0);
    }
    CHECK_EQ(count_fds(), 0);
}

TEST("H2: the thread that makes a stream may make another meanwhile, in a signal handler") {
    popened_begin();
    popened_begin();
    popened_end();
    popened_end();
    pthread_t thread;
    void *failed;
    pthread_create(&thread, NULL, add_and_take, streams);
    pthread_join(thread, &failed);
    CHECK_EQ((long)failed, 0);
}
