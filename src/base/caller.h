/* Who asks: the program's call, for the stack of a finding. */
#ifndef RACESHIM_BASE_CALLER_H
#define RACESHIM_BASE_CALLER_H

struct caller {
    const void *return_address;
    const void *frame;
};

#endif
