/* Stacks of the program's calls, each kept once and named by a number.
 *
 * The first capture at a place unwinds the stack; the next one at the same place, in the same
 * thread and with the same callers only compares the return addresses that lie on the stack. How a
 * hit is known to be right stands in stack.c.
 *
 * Everything is async-signal-safe (from glibc 2.35 on), thread-safe, and works in forked and
 * vforked children; a number means the same in a forked child as in its parent. No allocation;
 * errno stays. Memory: one mapping made at first use, and 1 KiB of thread-local data.
 */
#ifndef RACESHIM_REPORT_STACK_H
#define RACESHIM_REPORT_STACK_H

#include "report/module.h"

#include <stdint.h>

/* 0: unknown. Valid for the life of the process and in its forked children. */
typedef uint32_t stack_id;

#define STACK_FRAMES_MAX 32
#define STACKS_MAX 16384

struct stack {
    uint32_t count;
    /* Innermost first: ips[0] is the place in the program that called us. All are return addresses:
     * the call is the instruction before, so look up ip - 1 for its line. */
    uintptr_t ips[];
};

/* The stack that begins with the call which returns to return_address. `frame` is
 * __builtin_frame_address(0) of the function that the program called, return_address its
 * __builtin_return_address(0). Frames inside of that function are left out; the stack ends at the
 * first frame that cannot be unwound, after a signal handler's, or after STACK_FRAMES_MAX. 0 if
 * STACKS_MAX others are known already or there is no memory. */
stack_id stack_capture(const void *return_address, const void *frame);

/* Never NULL; count is 0 for the id 0. Valid for ever. */
const struct stack *stack_get(stack_id id);

/* The object that the frame's address belonged to when the stack was first seen; NULL if none. */
const struct module *stack_module(const struct stack *stack, uint32_t index);

#endif
