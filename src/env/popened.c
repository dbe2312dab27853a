#include "env/popened.h"

#include "base/owner.h"
#include "base/sys.h"

/* A place is free, being filled, or has a stream. Only the closer of a stream frees its place. */
struct place {
    _Atomic(void *) stream;
    int fd;
    pid_t process;
};
static char being_filled[1];

/* The first piece is ours; more are mapped at need and stay. */
#define PIECE 63
struct piece {
    struct place places[PIECE];
    _Atomic(struct piece *) next;
};
static struct piece pieces;
/* Read by every fclose: in a page that is there in any case. */
_Atomic size_t popened_count __attribute__((section(".data")));

/* Who makes a stream, and how deep; only that thread writes `depth`. */
static _Atomic pid_t maker;
static unsigned depth;

#define TRIES 2000
#define PAUSE_NS (1000 * 1000)

void popened_begin(void) {
    pid_t tid = owner_tid();
    if (atomic_load(&maker) == tid) {
        depth++;
        return;
    }
    for (unsigned tries = 0; tries < TRIES; tries++) {
        pid_t nobody = 0;
        if (atomic_compare_exchange_strong(&maker, &nobody, tid)) {
            depth = 1;
            return;
        }
        sys_pause(PAUSE_NS);
    }
}

void popened_end(void) {
    if (atomic_load(&maker) == owner_tid() && --depth == 0)
        atomic_store(&maker, 0);
}

void popened_after_fork(void) {
    atomic_store(&maker, 0);
}

static struct piece *add_piece(struct piece *last) {
    struct piece *expected = NULL;
    struct piece *piece =
        sys_mmap(sizeof *piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!piece || atomic_compare_exchange_strong(&last->next, &expected, piece))
        return piece;
    sys_munmap(piece, sizeof *piece);
    return expected;
}

static struct place *place_at(size_t at) {
    struct piece *piece = &pieces;
    for (; piece && at >= PIECE; at -= PIECE)
        piece = atomic_load(&piece->next);
    return piece ? &piece->places[at] : NULL;
}

static bool fill(struct piece *piece, void *stream, int fd, pid_t process) {
    for (size_t i = 0; i < PIECE; i++) {
        struct place *place = &piece->places[i];
        void *free_place = NULL;
        if (!atomic_compare_exchange_strong(&place->stream, &free_place, being_filled))
            continue;
        place->fd = fd;
        place->process = process;
        atomic_fetch_add(&popened_count, 1);
        atomic_store(&place->stream, stream);
        return true;
    }
    return false;
}

bool popened_add(void *stream, int fd, pid_t process) {
    for (struct piece *piece = &pieces, *next; piece; piece = next) {
        if (fill(piece, stream, fd, process))
            return true;
        next = atomic_load(&piece->next);
        if (!next)
            next = add_piece(piece);
    }
    return false;
}

pid_t popened_take_slow(void *stream) {
    struct place *place;
    for (size_t at = 0; stream && (place = place_at(at)); at++)
        if (atomic_load(&place->stream) == stream) {
            pid_t process = place->process;
            atomic_store(&place->stream, NULL);
            atomic_fetch_sub(&popened_count, 1);
            return process;
        }
    return 0;
}

int popened_next_fd(size_t *at) {
    for (struct place *place; (place = place_at(*at));) {
        void *stream = atomic_load(&place->stream);
        int fd = place->fd;
        (*at)++;
        if (stream && stream != being_filled)
            return fd;
    }
    return -1;
}
