/* Stacks: each kept once, the right one for each caller, on whatever stack and in whatever context.
 *
 * The oracle is glibc's backtrace(3), which shares nothing with the cache. */
#define _GNU_SOURCE
#include "check.h"

#include "report/stack.h"

#include <alloca.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The compiler must keep each call a call, and each frame a frame. */
#if defined(__clang__)
#define FRAME __attribute__((noinline, disable_tail_calls))
#else
#define FRAME __attribute__((noipa, optimize("no-optimize-sibling-calls")))
#endif
#define KEEP() __asm__ volatile("" ::: "memory")

#define ORACLE_MAX 128

static _Thread_local void *oracle[ORACLE_MAX];
static _Thread_local int oracle_count;
static _Thread_local bool oracle_wanted;
static _Thread_local const void *oracle_caller;

/* Stands for a hook: what the program calls. */
FRAME static stack_id hook(void) {
    stack_id id = stack_capture(__builtin_return_address(0), __builtin_frame_address(0));
    if (oracle_wanted) {
        oracle_count = backtrace(oracle, ORACLE_MAX);
        oracle_caller = __builtin_return_address(0);
    }
    KEEP();
    return id;
}

/* Does the stack say what backtrace says? */
static bool is_right(stack_id id) {
    const struct stack *stack = stack_get(id);
    int first = 0;
    while (first < oracle_count && oracle[first] != oracle_caller)
        first++;
    int count = oracle_count - first;
    if (count > STACK_FRAMES_MAX)
        count = STACK_FRAMES_MAX;
    /* backtrace adds what lies below the first frame of a thread on some systems */
    if (count == 0 || (int)stack->count > count || (int)stack->count < count - 1)
        return false;
    for (uint32_t i = 0; i < stack->count; i++)
        if (stack->ips[i] != (uintptr_t)oracle[first + (int)i])
            return false;
    return true;
}

/* ---- A tree of callers ---- */

struct path {
    uint64_t state; /* of the random choices */
    int depth;
    stack_id id;
    bool right;
};

static unsigned choose(struct path *path, unsigned limit) {
    path->state = path->state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(path->state >> 33) % limit;
}

static void descend(struct path *path);

FRAME static void by_small(struct path *path) {
    descend(path);
    KEEP();
}

FRAME static void by_large(struct path *path) {
    volatile char room[200];
    room[0] = 1;
    descend(path);
    room[1] = room[0];
    KEEP();
}

/* Its frame's size varies, and what it leaves behind looks like a stack. */
FRAME static void by_variable(struct path *path) {
    volatile char *room = alloca(16 * (1 + choose(path, 4)));
    room[0] = 1;
    descend(path);
    room[1] = room[0];
    KEEP();
}

FRAME static void by_registers(struct path *path) {
    uint64_t a = path->state, b = a * 3, c = b ^ a, d = c + 7, e = d * b;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
    descend(path);
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
}

FRAME static void by_aligned(struct path *path) {
    _Alignas(64) volatile char room[64];
    room[0] = 1;
    descend(path);
    room[1] = room[0];
    KEEP();
}

FRAME static void descend(struct path *path) {
    static void (*const ways[])(struct path *) = {by_small, by_large, by_variable, by_registers,
                                                  by_aligned};
    if (path->depth-- > 0) {
        ways[choose(path, 5)](path);
        KEEP();
        return;
    }
    /* Three places of one function */
    switch (choose(path, 3)) {
    case 0:
        path->id = hook();
        break;
    case 1:
        path->id = hook();
        KEEP();
        break;
    default:
        path->id = hook();
    }
    path->right = oracle_wanted && is_right(path->id);
}

/* Returns how many captures were wrong. */
FRAME static int walk_at_random(uint64_t seed, int rounds) {
    int wrong = 0;
    oracle_wanted = true;
    struct path path = {.state = seed};
    for (int i = 0; i < rounds; i++) {
        path.depth = (int)choose(&path, 4);
        descend(&path);
        wrong += !path.right;
    }
    oracle_wanted = false;
    return wrong;
}

TEST("R1: every capture is what an unwinding of its own says, from any caller") {
    CHECK_EQ(walk_at_random(1, 100000), 0);
}

/* ---- One place, several callers ---- */

FRAME static stack_id middle(void) {
    stack_id id = hook();
    KEEP();
    return id;
}

FRAME static stack_id caller_a(void) {
    stack_id id = middle();
    KEEP();
    return id;
}

FRAME static stack_id caller_b(void) {
    stack_id id = middle();
    KEEP();
    return id;
}

TEST("R1: a stack is kept once, and callers that differ far up have their own") {
    stack_id (*const callers[])(void) = {caller_a, caller_b};
    stack_id seen[2] = {0};
    for (volatile int i = 0; i < 1000; i++) {
        stack_id id = callers[i % 2]();
        CHECK(id != 0);
        if (i >= 2)
            CHECK_EQ(id, seen[i % 2]);
        seen[i % 2] = id;
    }
    CHECK(seen[0] != seen[1]);
    CHECK_EQ(stack_get(seen[0])->count, stack_get(seen[1])->count);
    CHECK_EQ(stack_get(seen[0])->ips[0], stack_get(seen[1])->ips[0]);
}

TEST("R1: the first frame is the caller of the function that the program called, in its object") {
    stack_id id = caller_a();
    const struct stack *stack = stack_get(id);
    const struct module *module = stack_module(stack, 0);
    CHECK(stack->count >= 3);
    CHECK(stack->ips[0] > (uintptr_t)middle && stack->ips[0] < (uintptr_t)middle + 512);
    CHECK(stack->ips[1] > (uintptr_t)caller_a && stack->ips[1] < (uintptr_t)caller_a + 512);
    CHECK(module != NULL && module == module_of((uintptr_t)middle));
    CHECK(stack_module(stack, stack->count) == NULL);
}

/* The outer frame's size changes so that the inner one lies where it lay before, and the old return
 * address is still there. */
FRAME static stack_id with_room(size_t size) {
    volatile char *room = alloca(size);
    (void)room;
    stack_id id = middle();
    KEEP();
    return id;
}

FRAME static stack_id from_above(void) {
    stack_id id = with_room(16);
    KEEP();
    return id;
}

FRAME static stack_id from_further_above(size_t size) {
    stack_id id = with_room(size);
    KEEP();
    return id;
}

TEST("R1: a return address that a former call left on the stack is not believed") {
    oracle_wanted = true;
    for (int round = 0; round < 3; round++) {
        for (size_t size = 16; size <= 512; size += 16) {
            CHECK(is_right(from_above()));
            CHECK(is_right(from_further_above(size)));
        }
    }
    oracle_wanted = false;
}

/* ---- Limits ---- */

FRAME static stack_id nest(int depth) {
    stack_id id = depth > 0 ? nest(depth - 1) : hook();
    KEEP();
    return id;
}

TEST("R1: a deep stack is cut at the limit") {
    CHECK_EQ(stack_get(nest(100))->count, STACK_FRAMES_MAX);
    CHECK_EQ(nest(100), nest(101));
    CHECK(stack_get(nest(3))->count < STACK_FRAMES_MAX);
}

TEST("H3: the id 0 and ids never given out have an empty stack") {
    CHECK_EQ(stack_get(0)->count, 0);
    CHECK_EQ(stack_get(UINT32_MAX)->count, 0);
    CHECK(stack_module(stack_get(0), 0) == NULL);
}

FRAME static stack_id bits(unsigned pattern, int count);

FRAME static stack_id bit_zero(unsigned pattern, int count) {
    stack_id id = bits(pattern >> 1, count - 1);
    KEEP();
    return id;
}

FRAME static stack_id bit_one(unsigned pattern, int count) {
    stack_id id = bits(pattern >> 1, count - 1);
    KEEP();
    return id;
}

FRAME static stack_id bits(unsigned pattern, int count) {
    stack_id id = count == 0    ? hook()
                  : pattern & 1 ? bit_one(pattern, count)
                                : bit_zero(pattern, count);
    KEEP();
    return id;
}

#define PATTERNS (1u << 15)

/* In a child of its own: the table stays full. Returns what went wrong, 0 if nothing. */
static int fill_table(void) {
    static stack_id ids[PATTERNS];
    unsigned known = 0;
    for (volatile int round = 0; round < 2; round++) {
        for (unsigned pattern = 0; pattern < PATTERNS; pattern++) {
            stack_id id = bits(pattern, 15);
            if (round > 0 && id != ids[pattern])
                return 1;
            known += round == 0 && id != 0;
            ids[pattern] = id;
        }
    }
    if (known > STACKS_MAX || known < STACKS_MAX - 1000)
        return 2;
    return stack_get(ids[0])->count > 15 && ids[PATTERNS - 1] == 0 ? 0 : 3;
}

static int in_child(int (*function)(void)) {
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(function());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

TEST("H3: when the table is full, new stacks are unknown and the old ones stay") {
    CHECK_EQ(in_child(fill_table), 0);
}

TEST("H2: a forked child goes on with its parent's numbers") {
    stack_id ids[3] = {0};
    pid_t child = 0;
    int status = -1;
    for (volatile int i = 0; i < 3; i++) { /* one place: a loop that is not unrolled */
        if (i == 1)
            child = fork();
        ids[i] = caller_a();
    }
    bool same = ids[0] != 0 && ids[1] == ids[0] && ids[2] == ids[0] && stack_get(ids[0])->count > 2;
    if (child == 0)
        _exit(!same);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(same);
}

/* ---- Odd stacks ---- */

static ucontext_t main_context, other_context;
static stack_id captured;

static void on_other_stack(void) {
    captured = middle();
}

TEST("H1: a stack made by makecontext is unwound to its end") {
    size_t size = 64 << 10;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (volatile int i = 0; i < 3; i++) {
        getcontext(&other_context);
        other_context.uc_stack = (stack_t){.ss_sp = memory, .ss_size = size};
        other_context.uc_link = &main_context;
        makecontext(&other_context, on_other_stack, 0);
        captured = 0;
        swapcontext(&main_context, &other_context);
        CHECK(stack_get(captured)->count >= 2);
        CHECK(stack_get(captured)->count <= 4);
    }
    munmap(memory, size);
}

#if defined(__x86_64__)
/* mov rax, imm64; sub rsp, 8; call rax; add rsp, 8; ret: code that no unwind table knows */
static stack_id (*make_code(void))(void) {
    unsigned char code[] = {0x48, 0xb8, 0, 0,    0,    0,    0,    0,    0, 0,   0x48,
                            0x83, 0xec, 8, 0xff, 0xd0, 0x48, 0x83, 0xc4, 8, 0xc3};
    stack_id (*target)(void) = middle;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code + 2, &target, sizeof target);
    memcpy(memory, code, sizeof code);
    mprotect(memory, 4096, PROT_READ | PROT_EXEC);
    stack_id (*function)(void);
    memcpy(&function, &memory, sizeof function);
    return function;
}

TEST("H1: the stack ends where code without unwind tables begins") {
    stack_id (*function)(void) = make_code();
    stack_id first = function();
    uintptr_t start;
    memcpy(&start, &function, sizeof start);
    CHECK_EQ(stack_get(first)->count, 2);
    CHECK(stack_get(first)->ips[1] - start < 32);
    CHECK(stack_module(stack_get(first), 1) == NULL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(function(), first);
}

TEST("H1: a call from code without unwind tables is a stack of one frame") {
    static const stack_id unknown;
    stack_id id = stack_capture((const void *)&unknown, __builtin_frame_address(0));
    CHECK_EQ(stack_get(id)->count, 1);
    CHECK_EQ(stack_get(id)->ips[0], (uintptr_t)&unknown);
    id = stack_capture((const void *)&unknown, NULL);
    CHECK_EQ(stack_get(id)->count, 1);
    CHECK_EQ(stack_get(id)->ips[0], (uintptr_t)&unknown);
}
#endif

/* ---- Signals ---- */

/* middle, caller_a, the handler and the frame that the kernel made, and nothing of what was
 * interrupted. The runtime of a sanitizer calls handlers itself. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#define HANDLER_MAX STACK_FRAMES_MAX
#else
#define HANDLER_MAX 4
#endif

static _Atomic unsigned handled;
static _Atomic unsigned wrong_in_handler;

static void capture_in_handler(int signal) {
    int saved = errno;
    bool wanted = oracle_wanted;
    (void)signal;
    oracle_wanted = false; /* what the main line asked it about stays */
    stack_id a = caller_a(), b = caller_b();
    if (a == 0 || b == 0 || a == b || stack_get(a)->count < 3 || stack_get(a)->count > HANDLER_MAX)
        wrong_in_handler++;
    handled++;
    oracle_wanted = wanted;
    errno = saved;
}

struct beater {
    pthread_t target;
    _Atomic bool stop;
};

static void *beat(void *argument) {
    struct beater *beater = argument;
    while (!beater->stop) {
        unsigned before = handled;
        pthread_kill(beater->target, SIGUSR1);
        for (int i = 0; i < 1000 && handled == before && !beater->stop; i++)
            sched_yield();
    }
    return NULL;
}

TEST("H2: a handler that captures in the middle of a capture spoils neither") {
    struct sigaction action = {.sa_handler = capture_in_handler};
    struct beater beater = {.target = pthread_self()};
    pthread_t thread;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, beat, &beater) == 0);
    for (int i = 0; i < 200 && (i < 3 || handled <= 100); i++)
        CHECK_EQ(walk_at_random((uint64_t)i, 10000), 0);
    beater.stop = true;
    pthread_join(thread, NULL);
    CHECK(handled > 100);
    CHECK_EQ(wrong_in_handler, 0);
}

static void capture_on_small_stack(int signal) {
    (void)signal;
    captured = middle();
}

TEST("H2: a handler on the smallest usual stack can capture") {
    struct sigaction action = {.sa_handler = capture_on_small_stack, .sa_flags = SA_ONSTACK};
    size_t size = 2 * 4096;
    char *memory = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory + size, size, PROT_READ | PROT_WRITE);
    stack_t stack = {.ss_sp = memory + size, .ss_size = size}, none = {.ss_flags = SS_DISABLE};
    if (sysconf(_SC_SIGSTKSZ) > (long)size) /* this processor's registers alone fill much of it */
        return;
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    captured = 0;
    raise(SIGUSR2);
    CHECK(captured != 0);
    sigaltstack(&none, NULL);
    munmap(memory, 2 * size);
}

/* ---- Threads ---- */

#define THREADS 4
static stack_id from_threads[THREADS];

static void *capture_in_thread(void *argument) {
    size_t number = (size_t)argument;
    int wrong = walk_at_random(number + 10, 10000);
    for (int i = 0; i < 100; i++)
        from_threads[number] = caller_a();
    return (void *)(intptr_t)wrong;
}

TEST("H2: threads that capture at once are all right, and one stack has one number") {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, capture_in_thread, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK_EQ((intptr_t)wrong, 0);
        CHECK_EQ(from_threads[i], from_threads[0]);
    }
}

TEST("H1: errno stays") {
    errno = 4711;
    for (int i = 0; i < 3; i++)
        caller_a();
    nest(7);
    CHECK_EQ(errno, 4711);
}

/* ---- What it costs, as a report ---- */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

TEST("R1: a place that was seen before costs much less than one that was not") {
    enum { ROUNDS = 20000 };
    double first = 0, again = 0;
    for (int i = 0; i < 200; i++) {
        double start = now();
        bits((unsigned)i, 9);
        first += now() - start;
    }
    double start = now();
    for (int i = 0; i < ROUNDS; i++)
        bits(0, 9);
    again = now() - start;
    printf("# %.0f ns the first time, %.1f ns again, 22 frames\n", first / 200, again / ROUNDS);
    CHECK(again / ROUNDS < first / 200);
}
